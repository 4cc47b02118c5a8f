"use strict";
// The charts are Vega-Lite's. This sets their parameters by the controls beside them, which have the same names, fills
// the values at the slider's SNR, and sorts tables by the keys of their cells.

const minus = (text) => String(text).replace("-", "\u2212");

function chosen(form) {
    const given = Object.fromEntries(new FormData(form));
    given.shown = new FormData(form).getAll("shown");
    const slider = form.elements.at;
    if (slider) given.at = JSON.parse(slider.dataset.values)[Number(slider.value)];
    return given;
}

function showValues(form, curves, given) {
    const decibels = minus(given.at) + " dB";
    form.querySelector("output").value = decibels;
    form.elements.at.setAttribute("aria-valuetext", decibels);
    const body = form.parentElement.querySelector(".values tbody");
    body.replaceChildren();
    for (const curve of curves) {
        const place = curve.tested.indexOf(given.at);
        const here = ["condition", "snr", "labels"].every((name) => curve[name] === given[name]);
        if (!here || place < 0 || !given.shown.includes(curve.method)) continue;
        const low = curve.low[place], high = curve.high[place];
        const band = low === null ? "" : `${low.toFixed(1)} to ${high.toFixed(1)}`;
        const row = body.insertRow();
        for (const text of [curve.called, curve.mean[place].toFixed(1), minus(band), curve.seeds]) {
            const cell = row.insertCell();
            cell.textContent = text;
            if (cell.cellIndex) cell.className = "number";
        }
    }
}

async function connect(form, spec) {
    const options = { renderer: "svg", actions: { export: true, source: false, compiled: false, editor: false } };
    const { view } = await vegaEmbed("#chart-" + CSS.escape(form.dataset.chart), spec, options);
    const update = async () => {
        const given = chosen(form);
        for (const [name, value] of Object.entries(given)) view.signal(name, value);
        if (form.elements.at) showValues(form, spec.data.values, given);
        await view.runAsync();
        form.dataset.shown = JSON.stringify(given);
    };
    form.addEventListener("input", update);
    form.addEventListener("submit", (event) => event.preventDefault());
    await update();
}

function sortBy(heading) {
    const place = heading.cellIndex;
    const body = heading.closest("table").tBodies[0];
    const falling = heading.getAttribute("aria-sort") === "ascending";
    const key = (row) => row.cells[place].dataset.key ?? row.cells[place].textContent;
    const order = (a, b) => {
        const [one, other] = [key(a), key(b)];
        if (one === "" || other === "") return (one === "") - (other === "");
        const numbers = [one, other].map((text) => Number(text.replace("inf", "Infinity")));
        const rise = numbers.some(Number.isNaN) ? one.localeCompare(other) : numbers[0] < numbers[1] ? -1 : numbers[0] > numbers[1] ? 1 : 0;
        return falling ? -rise : rise;
    };
    body.append(...[...body.rows].sort(order));
    for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
}

const charts = JSON.parse(document.getElementById("charts").textContent);
for (const form of document.querySelectorAll("form[data-chart]")) connect(form, charts[form.dataset.chart]);
document.addEventListener("click", (event) => {
    const button = event.target.closest("th button");
    if (button) sortBy(button.parentElement);
});
