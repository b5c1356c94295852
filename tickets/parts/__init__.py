"""Parts: where they may lie and how they may move, what expires, and who is given what there is too little of.

Pure: what there is, and what day it is, are arguments.
"""
