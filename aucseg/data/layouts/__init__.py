"""The published data sets: where their files lie, and what the values of their masks mean.

=================  ==================================================================================
module             what
=================  ==================================================================================
``base``           a `Layout`: name, label set, terms, and four functions that find, list and decode
``own``            the package's own layout, into which ``aucseg data prepare`` turns the others
``cityscapes``     leftImg8bit and gtFine; ids to 19 train ids
``ade20k``         SceneParsing, 150 classes; 0 is void
``coco_stuff``     164K (PNG) and 10K (Matlab); 171 of COCO's 182 ids
``rendered``       GTA5 and SYNTHIA, with Cityscapes' classes
``voc``            PASCAL VOC 2012; palette masks, and the colours that other sets use too
``ccp``            Clothing Co-Parsing, 55 classes
``salient``        ECSSD, HKU-IS, PASCAL-S: background and what stands out
``patterns``       any other folder, by patterns of its file names
=================  ==================================================================================

They go by name in `aucseg.catalog.DATASETS`.
"""
