//! What services become.
