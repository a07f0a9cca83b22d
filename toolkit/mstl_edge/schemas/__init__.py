"""The files that commands leave for other programs, as frozen types: written and read through the same structures.

One module for each schema, `mstl-edge/NAME/N`. Fields are added freely, with a default that says what an older file means;
one that is removed or changes its meaning makes a new N. A reader takes every N up to its own, and an older N whose fields
differ is brought up to date in the module of its schema, in one place.
"""
