//! `/containers/{id}/archive`: files into and out of a container.

use std::io;

use bytes::Bytes;
use http::Method;
use onggi_api::container::{PATH_STAT_HEADER, PathStat};
use tokio::sync::mpsc::Receiver;

use crate::{Client, Error, Response, Result};

impl Client {
    /// What is at `path` in a container.
    ///
    /// # Errors
    /// [`Error::Daemon`]: 404 when there is nothing.
    pub async fn container_path_stat(&self, id: &str, path: &str) -> Result<PathStat> {
        let request = self.request(Method::HEAD, &format!("/containers/{id}/archive"));
        let response = request.query("path", path).send().await?;
        let stat = stat_of(&response)?;
        response.bytes().await?;
        Ok(stat)
    }

    /// A tar of what is at `path` in a container.
    ///
    /// # Errors
    /// [`Error::Daemon`]: 404 when there is nothing.
    pub async fn container_archive(&self, id: &str, path: &str) -> Result<(PathStat, Response)> {
        let request = self.get(&format!("/containers/{id}/archive"));
        let response = request.query("path", path).send().await?;
        Ok((stat_of(&response)?, response))
    }

    /// Unpacks a tar into the directory at `path` of a container; directories and others never replace each other.
    ///
    /// # Errors
    /// [`Error::Daemon`]: 404 when there is no such directory, 400 when the tar cannot be unpacked there.
    pub async fn container_extract(
        &self,
        id: &str,
        path: &str,
        copy_uid_gid: bool,
        tar: Receiver<io::Result<Bytes>>,
    ) -> Result<()> {
        let mut request = self
            .request(Method::PUT, &format!("/containers/{id}/archive"))
            .query("path", path)
            .query("noOverwriteDirNonDir", "true");
        if copy_uid_gid {
            request = request.query("copyUIDGID", "true");
        }
        request
            .stream("application/x-tar", tar)
            .done()
            .await
            .map(drop)
    }
}

fn stat_of(response: &Response) -> Result<PathStat> {
    response
        .header(PATH_STAT_HEADER)
        .and_then(PathStat::from_header)
        .ok_or_else(|| Error::Answer {
            method: response.method.clone(),
            path: response.path.clone(),
            reason: "unable to decode container path stat header".to_owned(),
        })
}
