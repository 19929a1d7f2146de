//! `GET` and `POST /system/check`.

use onggi_api::system::StoreCheck;

use crate::{Client, Result};

/// What a check does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// Only names, sizes and counts.
    pub quick: bool,
    /// Put right what is wrong.
    pub repair: bool,
}

impl Client {
    /// Has the daemon prove that everything on its disk is whole and somebody's.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`]: 404 from daemons that cannot, Docker's among them.
    pub async fn check(&self, check: Check) -> Result<StoreCheck> {
        let request = match check.repair {
            true => self.post("/system/check"),
            false => self.get("/system/check"),
        };
        let request = request.query_on("quick", check.quick);
        request.send().await?.json().await
    }
}
