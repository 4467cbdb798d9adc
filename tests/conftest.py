"""Its presence puts this folder on the path: the browser tests import ``find_browser``."""
