"""Images of one's own: a path, or `tfds:NAME`, in place of a data set's name.

names       which names are paths; says so without reading anything
options     image size, split, unreadable images: what the flags of `run.py` set
folders     a folder with one sub-folder a class    |
tables      a CSV or Parquet table of paths         |-> listing: files and labels
arrays      .npz, or a pair of .npy
catalog     a data set of TFDS that is not registered
builders    finds and prepares such a data set
splits      which images are test images
pictures    headers, decoding and resizing, by Pillow
threads     many of them at once, going on past unreadable ones
opening     from a name to one of these
"""
