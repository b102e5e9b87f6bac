"""Make a data set of a stranger's folder.

=========== ========================================================================
module      what
=========== ========================================================================
``look``    which files are images, which are masks, and how one finds the other
``names``   names of classes, as other programs leave them beside the masks
``values``  what the masks hold, and which of it are classes
``report``  the images and masks that belong together, and what is said of them
``cut``     the splits: those that are there, and what is missing of them
``folder``  all of it: look, decide, write what is missing
=========== ========================================================================
"""

from aucseg.data.init.folder import init as init
from aucseg.data.init.report import InitReport as InitReport
