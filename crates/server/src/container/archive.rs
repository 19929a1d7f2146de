//! `HEAD`, `GET` and `PUT /containers/{id}/archive`: files of a container.

use http::{HeaderName, HeaderValue, StatusCode};
use onggi_api::container::{PATH_STAT_HEADER, PathStat};
use onggi_engine::ExtractOptions;
use onggi_http::{Response, body};

use crate::call::{Call, Reply, owned, status, typed};
use crate::failure::Failure;

/// What is at a path, in a header.
pub(crate) async fn stat(call: Call) -> Reply {
    let path = path(&call)?;
    let stat = call.engine.container_path_stat(call.id(), &path).await?;
    described(status(StatusCode::OK)?, &stat)
}

/// A tar of it.
pub(crate) async fn get(call: Call) -> Reply {
    let path = path(&call)?;
    let (stat, chunks) = call.engine.container_archive(call.id(), &path).await?;
    let response = typed(StatusCode::OK, "application/x-tar", body::fallible(chunks));
    described(response, &stat)
}

/// Unpacks a tar there.
pub(crate) async fn put(call: Call) -> Reply {
    let (path, id, engine) = (path(&call)?, call.id().to_owned(), call.engine.clone());
    let options = ExtractOptions {
        no_overwrite_dir_non_dir: call.flag("noOverwriteDirNonDir"),
        copy_uid_gid: call.flag("copyUIDGID"),
    };
    let tar = body::reader(call.body);
    // The work ends with the body when the client leaves; what holds the container must not end before the work.
    let extract = async move { engine.container_extract(&id, &path, options, tar).await };
    owned("unpack into a container", extract).await?;
    status(StatusCode::OK)
}

fn path(call: &Call) -> Result<String, Failure> {
    call.given("path")
        .ok_or_else(|| Failure::invalid("bad parameter: path cannot be empty"))
}

fn described(mut response: Response, stat: &PathStat) -> Reply {
    let text = HeaderValue::from_str(&stat.to_header())
        .map_err(|error| Failure::invalid(error.to_string()))?;
    let name = HeaderName::from_static(PATH_STAT_HEADER);
    response.headers_mut().insert(name, text);
    Ok(response)
}
