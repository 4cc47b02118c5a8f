"""What NYU Depth V2's two files look like: keys, scene types, the ten classes, the published counts.

`nyu_depth_v2_labeled.mat` is MATLAB v7.3, hence HDF5 with MATLAB's axes reversed; `splits.mat` is
MATLAB 5.0. The reader (`readers/nyud2.py`) and the writer of the built-in data set (`nyud2_writer.py`) share this file,
so that what is rendered and what is downloaded cannot drift apart.

Source: N. Silberman, D. Hoiem, P. Kohli, R. Fergus, "Indoor Segmentation and Support Inference from RGBD
Images", ECCV 2012, and the files themselves. The reduction to ten classes follows the protocol of the
paper's reference [15]: nine scene types keep their name, the other eighteen become `others`.
"""

CLASSES = (
    "bedroom",
    "kitchen",
    "living_room",
    "bathroom",
    "dining_room",
    "office",
    "home_office",
    "classroom",
    "bookstore",
    "others",
)

OTHER_SCENE_TYPES = (
    "playroom",
    "furniture_store",
    "study",
    "reception_room",
    "office_kitchen",
    "basement",
    "study_room",
    "computer_lab",
    "cafe",
    "conference_room",
    "home_storage",
    "student_lounge",
    "dinette",
    "foyer",
    "excercise_room",  # spelled so in the file
    "laundry_room",
    "printer_room",
    "indoor_balcony",
)

CLASS_OF_SCENE_TYPE = {name: name for name in CLASSES if name != "others"} | dict.fromkeys(OTHER_SCENE_TYPES, "others")

# Scenes per class in the official split, as (train, test); 795 and 654 in all.
PUBLISHED_COUNTS = {
    "bedroom": (192, 191),
    "kitchen": (119, 106),
    "living_room": (114, 107),
    "bathroom": (63, 58),
    "dining_room": (62, 55),
    "office": (40, 38),
    "home_office": (26, 24),
    "classroom": (26, 23),
    "bookstore": (25, 11),
    "others": (128, 41),
}
