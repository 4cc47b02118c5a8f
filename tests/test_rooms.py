"""The built-in data set: geometry against closed forms, the depth camera's statistics, reproducibility, file layout."""

import itertools
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from semcom.common.errors import InputError
from semcom.data.nyud2_layout import CLASS_OF_SCENE_TYPE, CLASSES, PUBLISHED_COUNTS
from semcom.rooms import depth_camera
from semcom.rooms.dataset import Room, counts, render_room, rooms, write_rooms
from semcom.rooms.nyud2_writer import Scene, write_labeled_mat
from semcom.rooms.raycast import BOX, CYLINDER, ELLIPSOID, Camera, Light, Solid, Surface, World, render
from semcom.rooms.room_types import OTHERS_PUBLISHED, PLANS
from semcom.rooms.textures import Material

GREY = Material("plain", (0.5, 0.5, 0.5))
SIZE = (6.0, 8.0, 3.0)
LIGHT = Light(np.array([3.0, 1.0, 2.8]), np.ones(3), np.full(3, 0.2))


def world(*solids: Solid) -> World:
    return World(SIZE, [GREY] * 6, list(solids))


def camera(yaw: float = 0.0, pitch: float = 0.0, fov: float = 60.0, at: tuple = (3.0, 1.0, 1.5)) -> Camera:
    return Camera(np.array(at), yaw, pitch, np.deg2rad(fov))


def solid(shape: int, centre: tuple, half: tuple, yaw: float = 0.0) -> Solid:
    c, s = np.cos(yaw), np.sin(yaw)
    return Solid(shape, np.array(centre), np.array(half), GREY, np.array([(c, -s, 0), (s, c, 0), (0, 0, 1)]))


def depth_of(scene: World, view: Camera, width: int = 33, height: int = 25) -> np.ndarray:
    return render(scene, LIGHT, view, width, height, samples=1)[1].depth


# ---- geometry


def test_a_wall_across_the_optical_axis_has_one_depth_everywhere():
    depth = depth_of(world(), camera(fov=20, at=(3.0, 2.0, 1.5)))
    np.testing.assert_allclose(depth, 6.0, rtol=1e-5)  # a distance along the ray would grow to the corners


def test_a_slanted_wall_follows_the_pinhole_formula():
    yaw, view = 0.2, camera(yaw=0.2, fov=20)
    width, height = 41, 31
    x = (np.arange(width) + 0.5 - width / 2) / view.focal(width, height)
    # the ray forward + x right advances (cos yaw + x sin yaw) towards y = 8 for each metre along the axis
    expected = 7.0 / (np.cos(yaw) + x * np.sin(yaw))
    np.testing.assert_allclose(
        depth_of(world(), view, width, height), np.broadcast_to(expected, (height, width)), rtol=1e-4
    )


def test_looking_down_the_floor_is_at_height_over_the_sine_of_the_ray():
    pitch, view = -0.6, camera(pitch=-0.6, fov=30)
    y = (np.arange(25) + 0.5 - 12.5) / view.focal(33, 25)
    expected = 1.5 / (np.sin(-pitch) + y * np.cos(pitch))
    np.testing.assert_allclose(depth_of(world(), view)[:, 16], expected, rtol=1e-4)


@pytest.mark.parametrize("shape", [BOX, CYLINDER, ELLIPSOID])
def test_the_front_of_a_solid_is_half_its_depth_before_its_centre(shape):
    depth = depth_of(world(solid(shape, (3.0, 5.0, 1.5), (0.7, 0.5, 0.6))), camera(fov=40))
    assert depth[12, 16] == pytest.approx(3.5, rel=1e-5)
    assert depth[12, 0] == pytest.approx(7.0, rel=1e-5)  # beside it, the wall


def test_a_turned_box_shows_its_edge():
    half = 0.5
    depth = depth_of(world(solid(BOX, (3.0, 5.0, 1.5), (half, half, 0.6), yaw=np.pi / 4)), camera())
    assert depth[12, 16] == pytest.approx(4.0 - half * np.sqrt(2), rel=1e-3)


def test_a_ball_has_the_depth_of_a_ball():
    radius, view = 0.8, camera(fov=30)
    depth = depth_of(world(solid(ELLIPSOID, (3.0, 5.0, 1.5), (radius,) * 3)), view)
    tangent = (np.arange(33) + 0.5 - 16.5) / view.focal(33, 25)
    # |t (tangent, 1) - (0, 4)| = radius, solved for the nearer t
    discriminant = 16.0 - (1 + tangent**2) * (16.0 - radius**2)
    hit = discriminant > 0.01
    expected = (4.0 - np.sqrt(discriminant[hit])) / (1 + tangent[hit] ** 2)
    assert hit.sum() > 10
    np.testing.assert_allclose(depth[12, hit], expected, rtol=1e-4)


def test_the_nearer_of_two_solids_is_seen():
    near, far = solid(BOX, (3.0, 3.0, 1.5), (0.2,) * 3), solid(ELLIPSOID, (3.0, 5.0, 1.5), (0.9,) * 3)
    for order in ((near, far), (far, near)):
        assert depth_of(world(*order), camera())[12, 16] == pytest.approx(1.8, rel=1e-5)


def test_the_longer_side_spans_the_field_of_view_at_any_shape():
    view = camera(fov=60)
    for width, height in ((64, 64), (64, 48), (48, 64)):
        assert view.focal(width, height) * np.tan(np.deg2rad(30)) == pytest.approx(max(width, height) / 2)
        assert depth_of(world(), view, width, height).shape == (height, width)


def test_tiles_do_not_show():
    """A view larger than one tile equals the same rays cast in a smaller image (a pixel grid three times as coarse)."""
    scene = world(*(solid(BOX, (1.0 + k % 5, 4.0 + k // 5, 0.5), (0.2, 0.3, 0.5), yaw=k) for k in range(15)))
    large, small = depth_of(scene, camera(pitch=-0.2), 99, 75), depth_of(scene, camera(pitch=-0.2), 33, 25)
    np.testing.assert_allclose(large[1::3, 1::3], small, rtol=1e-4)


# ---- light


def test_a_shadow_falls_on_the_side_away_from_the_light():
    box = solid(BOX, (3.0, 4.0, 0.5), (0.3, 0.3, 0.5))
    view = camera(pitch=-0.5, at=(3.0, 1.0, 2.0), fov=70)
    sides = {}
    for name, x in (("left", 1.0), ("right", 5.0)):
        light = Light(np.array([x, 4.0, 2.5]), np.ones(3), np.full(3, 0.02))
        lit, unlit = (render(w, light, view, 64, 48)[0].mean(2) for w in (world(), world(box)))
        surface = render(world(box), light, view, 64, 48)[1]
        on_floor = surface.solid >= 1
        dark = on_floor & (unlit < 0.5 * lit)
        assert dark.sum() > 20
        sides[name] = np.nonzero(dark)[1].mean()
    assert sides["left"] > 34 and sides["right"] < 30  # the box stands in column 32


def test_faces_towards_the_light_are_brighter():
    box = solid(BOX, (3.0, 4.0, 0.6), (0.6, 0.6, 0.6), yaw=np.pi / 4)
    light = Light(np.array([1.0, 2.0, 1.5]), np.ones(3), np.full(3, 0.05))
    picture = render(world(box), light, camera(pitch=-0.2), 64, 48)[0].mean(2)
    row = 27
    assert picture[row, 26:30].mean() > 2 * picture[row, 35:39].mean()


# ---- depth camera


def flat(depth: float, *, cosine: float = 1.0, gloss: float = 0.0, albedo: float = 0.5, n: int = 200) -> Surface:
    values = (np.full((n, n), v, np.float32) for v in (depth, cosine, gloss, albedo))
    return Surface(*values, np.zeros((n, n), np.intp))


def test_noise_and_steps_grow_with_the_square_of_distance():
    rng = np.random.default_rng(0)
    spread = {}
    for z in (1.0, 2.0, 4.0, 8.0):
        raw = depth_camera.measure(flat(z), 300.0, rng)
        valid = raw[raw > 0].astype(float)
        assert valid.mean() == pytest.approx(z, rel=0.01)
        spread[z] = valid.std()
        step = np.diff(np.unique(valid)).min()
        assert step == pytest.approx(depth_camera.STEP * z**2, rel=0.2)
        # uniform quantisation adds step / sqrt(12)
        assert spread[z] == pytest.approx(np.hypot(depth_camera.noise_sigma(z), step / np.sqrt(12)), rel=0.15)
    assert 3 < spread[4.0] / spread[2.0] < 6 and 3 < spread[8.0] / spread[4.0] < 6


def test_holes_come_with_grazing_angles_gloss_dark_material_and_range():
    rng = np.random.default_rng(1)

    def lost(**surface: float) -> float:
        return float((depth_camera.measure(flat(**({"depth": 3.0} | surface)), 300.0, rng) == 0).mean())

    plain = lost()
    assert plain < 0.3
    assert lost(cosine=0.05) > plain + 0.3
    assert lost(gloss=0.95) > plain + 0.3
    assert lost(albedo=0.005) > plain + 0.2
    assert lost(depth=11.0) == 1.0 and lost(depth=0.5) == 1.0


def test_the_projectors_shadow_lies_left_of_a_near_thing_and_has_the_baselines_width():
    near, far, focal = 1.0, 3.0, 300.0
    depth = np.full((5, 200), far)
    depth[:, 100:140] = near
    shadow = depth_camera.in_projector_shadow(depth, focal)
    width = focal * depth_camera.BASELINE * (1 / near - 1 / far)
    assert shadow[:, 100:].sum() == 0
    assert shadow[0].sum() == pytest.approx(width, abs=1)
    assert shadow[0, 99]


def test_holes_are_filled_with_the_nearest_measured_depth():
    raw = np.zeros((5, 7), np.float32)
    raw[2, 1], raw[2, 5] = 2.0, 4.0
    filled = depth_camera.fill(raw)
    assert (filled[:, :3] == 2.0).all() and (filled[:, 4:] == 4.0).all()
    assert (depth_camera.fill(np.zeros((3, 3), np.float32)) == depth_camera.FARTHEST).all()


# ---- rooms


@pytest.fixture(scope="module")
def frames() -> dict[str, list[Scene]]:
    """Six frames, from two rooms, of each class."""
    return {
        label: [scene for number in (0, 1) for scene in render_room(Room("train", label, number, 3), 32, 24, 5)]
        for label in CLASSES
    }


def test_scenes_are_what_a_reader_expects(frames):
    for label, scenes in frames.items():
        for scene in scenes:
            assert CLASS_OF_SCENE_TYPE[scene.scene_type] == label
            assert scene.rgb.shape == (24, 32, 3) and scene.rgb.dtype == np.uint8
            for depth in (scene.depth, scene.raw_depth):
                assert depth.shape == (24, 32) and depth.dtype == np.float32 and np.isfinite(depth).all()
            assert (scene.depth >= depth_camera.NEAREST).all() and (scene.depth <= depth_camera.FARTHEST).all()
            measured = scene.raw_depth > 0
            np.testing.assert_array_equal(scene.depth[measured], scene.raw_depth[measured])


def test_only_raw_depth_has_holes(frames):
    share = [float((scene.raw_depth == 0).mean()) for scenes in frames.values() for scene in scenes]
    assert 0.05 < np.mean(share) < 0.5


def test_pictures_are_neither_black_nor_white_nor_flat(frames):
    for scenes in frames.values():
        for scene in scenes:
            assert 20 < scene.rgb.mean() < 220 and scene.rgb.std() > 8
            assert scene.depth.std() > 0.02


def test_frames_of_a_room_share_its_name_and_differ(frames):
    for scenes in frames.values():
        first, second = scenes[:3], scenes[3:]
        assert len({scene.scene for scene in first}) == len({scene.scene for scene in second}) == 1
        assert first[0].scene != second[0].scene
        assert len({scene.rgb.tobytes() for scene in scenes}) == 6


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(frames):
    room = Room("train", "office", 0, 2)
    same, other = list(render_room(room, 32, 24, 5)), list(render_room(room, 32, 24, 6))
    for a, b, c in zip(frames["office"], same, other, strict=False):
        for key in ("rgb", "depth", "raw_depth"):
            assert getattr(a, key).tobytes() == getattr(b, key).tobytes()
            assert getattr(a, key).tobytes() != getattr(c, key).tobytes()


def test_train_and_test_show_different_rooms():
    train, test = (next(render_room(Room(part, "kitchen", 0, 1), 16, 12, 5)) for part in ("train", "test"))
    assert train.scene != test.scene and train.rgb.tobytes() != test.rgb.tobytes()


def test_every_scene_type_can_be_furnished():
    assert set(PLANS) == set(OTHERS_PUBLISHED) | set(CLASSES) - {"others"}
    for kind, plan in PLANS.items():
        assert kind in CLASS_OF_SCENE_TYPE
        for seed in range(5):
            room = plan(np.random.default_rng(seed))
            assert room.subjects and room.solids
            assert all((s.centre > -0.5).all() and (s.centre < np.array(room.size) + 0.5).all() for s in room.solids)


# ---- counts and order


def test_the_published_totals_give_the_published_counts():
    assert counts(795, 654) == PUBLISHED_COUNTS


@pytest.mark.parametrize(("train", "test"), [(20, 20), (33, 47), (100, 50), (512, 256), (3000, 777)])
def test_counts_sum_and_keep_the_imbalance(train, test):
    given = counts(train, test)
    assert tuple(given) == CLASSES
    for part, total, published in ((0, train, 795), (1, test, 654)):
        numbers = [given[name][part] for name in CLASSES]
        assert sum(numbers) == total and min(numbers) >= 2
        assert max(numbers) == given["bedroom"][part]
        if total >= 200:  # no class is at its minimum
            for name in CLASSES:
                assert abs(given[name][part] - total * PUBLISHED_COUNTS[name][part] / published) < 1


def test_too_few_scenes_are_refused_with_a_remedy():
    with pytest.raises(InputError, match="at least 20"):
        counts(19, 100)


def test_rooms_of_all_classes_are_shuffled_and_cover_the_counts():
    listed = rooms(512, 256, seed=1)
    per = Counter()
    for room in listed:
        per[room.label, room.part] += room.frames
    for name, (train, test) in counts(512, 256).items():
        assert (per[name, "train"], per[name, "test"]) == (train, test)
    assert len({(r.part, r.label, r.number) for r in listed}) == len(listed)
    assert 2.3 < 768 / len(listed) < 3.5  # frames per room
    parts, labels = [r.part for r in listed], [r.label for r in listed]
    assert sum(a != b for a, b in itertools.pairwise(parts)) > 60
    assert sum(a != b for a, b in itertools.pairwise(labels)) > 150
    assert [(r.label, r.number) for r in rooms(512, 256, seed=2)] != [(r.label, r.number) for r in listed]


def test_a_room_keeps_its_frames_when_more_scenes_are_asked_for():
    few, many = rooms(60, 40, seed=1), {(r.part, r.label, r.number): r.frames for r in rooms(300, 200, seed=1)}
    for room in few:
        assert room.frames <= many[room.part, room.label, room.number]  # only a class's last room is cut short
    cut = sum(room.frames < many[room.part, room.label, room.number] for room in few)
    assert cut <= 2 * len(CLASSES)


# ---- files


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("rooms")
    labeled, splits = folder / "labeled.mat", folder / "splits.mat"
    write_rooms(labeled, splits, train_scenes=28, test_scenes=22, width=24, height=16, seed=3)
    return labeled, splits


def strings(file: h5py.File, key: str) -> list[str]:
    return ["".join(map(chr, file[reference][:, 0])) for reference in file[key][0]]


def test_the_layout_is_that_of_nyu_depth_v2(files):
    labeled, _ = files
    assert labeled.read_bytes()[:10] == b"MATLAB 7.3" and labeled.read_bytes()[124:128] == b"\x00\x02IM"
    with h5py.File(labeled) as file:
        assert file.userblock_size == 512
        for key, shape, dtype, matlab in (
            ("images", (50, 3, 24, 16), np.uint8, b"uint8"),
            ("depths", (50, 24, 16), np.float32, b"single"),
            ("rawDepths", (50, 24, 16), np.float32, b"single"),
        ):
            assert file[key].shape == shape and file[key].dtype == dtype
            assert file[key].attrs["MATLAB_class"] == matlab
        for key in ("sceneTypes", "scenes", "rawRgbFilenames", "rawDepthFilenames"):
            assert file[key].shape == (1, 50) and h5py.check_ref_dtype(file[key].dtype) is h5py.Reference
            assert file[key].attrs["MATLAB_class"] == b"cell"
            for reference in file[key][0]:
                target = file[reference]
                assert target.name.startswith("/#refs#/") and target.dtype == np.uint16
                assert target.ndim == 2 and target.shape[1] == 1 and target.attrs["MATLAB_class"] == b"char"
        assert set(strings(file, "sceneTypes")) <= set(CLASS_OF_SCENE_TYPE)
        for kind, scene, raw in zip(
            *(strings(file, k) for k in ("sceneTypes", "scenes", "rawRgbFilenames")), strict=True
        ):
            assert scene.startswith(f"{kind}_") and raw.startswith(f"{scene}/r-") and raw.endswith(".ppm")


def test_matlab_sees_the_axes_height_width_channel(files):
    labeled, _ = files
    listed = rooms(28, 22, seed=3)
    first = next(render_room(listed[0], 24, 16, 3))
    with h5py.File(labeled) as file:
        np.testing.assert_array_equal(file["images"][0].transpose(2, 1, 0), first.rgb)
        np.testing.assert_array_equal(file["depths"][0].T, first.depth)
        np.testing.assert_array_equal(file["rawDepths"][0].T, first.raw_depth)
        assert strings(file, "scenes")[0] == first.scene


def test_the_split_is_a_partition_by_rooms_with_the_right_counts(files):
    labeled, splits = files
    content = scipy.io.loadmat(splits)
    train, test = content["trainNdxs"], content["testNdxs"]
    assert train.dtype == test.dtype == np.uint16 and train.shape == (28, 1) and test.shape == (22, 1)
    assert sorted([*train[:, 0], *test[:, 0]]) == list(range(1, 51))
    with h5py.File(labeled) as file:
        names, kinds = strings(file, "scenes"), strings(file, "sceneTypes")
    assert not {names[i - 1] for i in train[:, 0]} & {names[i - 1] for i in test[:, 0]}
    for part, indices in enumerate((train, test)):
        found = Counter(CLASS_OF_SCENE_TYPE[kinds[i - 1]] for i in indices[:, 0])
        assert found == {name: both[part] for name, both in counts(28, 22).items()}
    # the frames of one room follow each other
    changes = sum(a != b for a, b in itertools.pairwise(names))
    assert changes == len(set(names)) - 1


def test_both_files_are_the_same_when_written_again(files, tmp_path):
    labeled, splits = tmp_path / "a.mat", tmp_path / "b.mat"
    told = []
    size = {"train_scenes": 28, "test_scenes": 22, "width": 24, "height": 16}
    write_rooms(labeled, splits, **size, seed=3, progress=lambda done, total: told.append((done, total)))
    assert labeled.read_bytes() == files[0].read_bytes() and splits.read_bytes() == files[1].read_bytes()
    assert told == [(k, 50) for k in range(1, 51)]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "labeled.mat"
    target.write_bytes(b"before")
    scene = next(render_room(Room("test", "bedroom", 0, 1), 16, 12, 0))

    def broken():
        yield scene
        raise RuntimeError("renderer")

    with pytest.raises(RuntimeError, match="renderer"):
        write_labeled_mat(target, n=2, width=16, height=12, scenes=broken())
    with pytest.raises(ValueError, match="1 scenes were given, 2 announced"):
        write_labeled_mat(target, n=2, width=16, height=12, scenes=[scene])
    with pytest.raises(ValueError, match="scene 0"):
        write_labeled_mat(target, n=1, width=12, height=16, scenes=[scene])
    assert target.read_bytes() == b"before" and list(tmp_path.iterdir()) == [target]
