//! `POST /commit`.

use onggi_api::container::CommitResponse;

use crate::{Client, Result};

/// What an image of a container is to be.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// Its name without tag; empty for none.
    pub repository: String,
    /// Its tag.
    pub tag: String,
    /// A comment.
    pub comment: String,
    /// Who made it.
    pub author: String,
    /// Dockerfile instructions to apply.
    pub changes: Vec<String>,
    /// Leave the container running meanwhile.
    pub no_pause: bool,
}

impl Client {
    /// Makes an image of a container; its ID.
    ///
    /// # Errors
    /// [`crate::Error::Daemon`]: 404 when there is no such container, 400 for a bad name or instruction.
    pub async fn container_commit(&self, id: &str, commit: &Commit) -> Result<String> {
        let mut request = self
            .post("/commit")
            .query("container", id)
            .query_some("repo", Some(commit.repository.as_str()))
            .query_some("tag", Some(commit.tag.as_str()))
            .query_some("comment", Some(commit.comment.as_str()))
            .query_some("author", Some(commit.author.as_str()));
        for change in &commit.changes {
            request = request.query("changes", change);
        }
        if commit.no_pause {
            request = request.query("pause", "0");
        }
        let response: CommitResponse = request.send().await?.json().await?;
        Ok(response.id)
    }
}
