//! Every operation on edge values, in the places that values may come from and go to.
