from semcom.data.nyud2 import open_scenes
