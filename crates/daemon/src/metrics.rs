//! `/metrics` for Prometheus: what the daemon measures of itself, by dockerd's names where it has them.

use std::fmt::Write;
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode, header};
use onggi_api::system::Info;
use onggi_engine::Engine;
use onggi_http::{Listener, Request, Response, body, serve};
use onggi_rt::Shutdown;

/// Serves until `shutdown`.
pub(crate) async fn run(listener: Listener, engine: Engine, shutdown: Shutdown) {
    let handler = move |request: Request| {
        let engine = engine.clone();
        async move { answer(&request, &engine).await }
    };
    serve(listener, handler, shutdown, Duration::from_secs(1)).await;
}

async fn answer(request: &Request, engine: &Engine) -> Response {
    let (status, text) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => match engine.info().await {
            Ok(info) => (StatusCode::OK, exposition(&info)),
            Err(fault) => (StatusCode::INTERNAL_SERVER_ERROR, fault.to_string()),
        },
        _ => (StatusCode::NOT_FOUND, "404 page not found\n".to_owned()),
    };
    let mut response = Response::new(body::full(text));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    response
}

/// Prometheus' text format, version 0.0.4.
fn exposition(info: &Info) -> String {
    let mut text = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, rows: &[(String, f64)]| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in rows {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let one = |value: f64| [(String::new(), value)];
    let state = |name: &str, value: i64| (format!("{{state=\"{name}\"}}"), value as f64);
    metric(
        "engine_daemon_container_states_containers",
        "gauge",
        "The count of containers in various states",
        &[
            state("paused", info.containers_paused),
            state("running", info.containers_running),
            state("stopped", info.containers_stopped),
        ],
    );
    metric(
        "engine_daemon_engine_cpus_cpus",
        "gauge",
        "The number of cpus that the host system of the engine has",
        &one(info.ncpu as f64),
    );
    metric(
        "engine_daemon_engine_memory_bytes",
        "gauge",
        "The number of bytes of memory that the host system of the engine has",
        &one(info.mem_total as f64),
    );
    let labels = format!(
        "{{version={:?},kernel={:?},os={:?},os_version={:?},os_type={:?},architecture={:?},graphdriver={:?},daemon_id={:?}}}",
        info.server_version,
        info.kernel_version,
        info.operating_system,
        info.os_version,
        info.os_type,
        info.architecture,
        info.driver,
        info.id
    );
    metric(
        "engine_daemon_engine_info",
        "gauge",
        "The information related to the engine and the OS it is running on",
        &[(labels, 1.0)],
    );
    metric(
        "engine_daemon_images_total",
        "gauge",
        "The number of images",
        &one(info.images as f64),
    );
    metric(
        "engine_daemon_events_listeners",
        "gauge",
        "Clients that listen to events",
        &one(info.nevents_listener as f64),
    );
    metric(
        "process_open_fds",
        "gauge",
        "Number of open file descriptors.",
        &one(info.nfd as f64),
    );
    metric(
        "process_threads",
        "gauge",
        "Number of threads of the daemon.",
        &one(info.ngoroutines as f64),
    );
    let (resident, seconds) = process();
    metric(
        "process_resident_memory_bytes",
        "gauge",
        "Resident memory size in bytes.",
        &one(resident),
    );
    metric(
        "process_cpu_seconds_total",
        "counter",
        "Total user and system CPU time spent in seconds.",
        &one(seconds),
    );
    text
}

/// Resident bytes and CPU seconds of this process, from proc(5).
fn process() -> (f64, f64) {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let status = read("/proc/self/status");
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next())
        .and_then(|kib| kib.parse::<f64>().ok());
    let usage = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = usage.tv_sec as f64 + usage.tv_nsec as f64 / 1e9;
    (kib.unwrap_or_default() * 1024.0, seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_comment_or_a_sample() {
        let info = Info {
            operating_system: "A \"quoted\" name".to_owned(),
            containers_running: 3,
            ..Info::default()
        };
        let text = exposition(&info);
        assert!(text.contains("engine_daemon_container_states_containers{state=\"running\"} 3\n"));
        assert!(text.contains("os=\"A \\\"quoted\\\" name\""));
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').expect("name and value");
            assert!(!name.is_empty() && value.parse::<f64>().is_ok(), "{line}");
        }
        assert!(process().0 > 0.0);
    }
}
