//! Links, exits, fuel.
