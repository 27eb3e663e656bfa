//! Worker threads that run block requests.
