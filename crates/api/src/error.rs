//! The body of every answer that is an error.

use crate::go::document;

document! {
    /// `{"message": "..."}`.
    pub struct ErrorResponse {
        /// What went wrong, in one line.
        pub message: String => "message";
    }
}
