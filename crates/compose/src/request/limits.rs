//! What a container may use: memory, processors, block devices, devices. What `deploy.resources` says goes over the keys
//! beside it.

use onggi_api::container::{
    DeviceMapping, DeviceRequest, Resources, ThrottleDevice, Ulimit as Limit, WeightDevice,
};

use crate::service::{BlkioRate, Device, DeviceClaim, Service, Ulimit};

pub(super) fn resources(service: &Service) -> Resources {
    let deploy = service.deploy.as_ref().map(|deploy| &deploy.resources);
    let limits = deploy
        .map(|resources| resources.limits.clone())
        .unwrap_or_default();
    let reserved = deploy
        .map(|resources| resources.reservations.clone())
        .unwrap_or_default();
    let over = |given: i64, own: i64| if given != 0 { given } else { own };
    let cpus = if limits.cpus > 0.0 {
        limits.cpus
    } else {
        service.cpus
    };
    let (plain, described): (Vec<&Device>, Vec<&Device>) = service
        .devices
        .iter()
        .partition(|device| !described(device));
    let blkio = service.blkio_config.clone().unwrap_or_default();
    let weights = blkio.weight_device.iter().map(|one| WeightDevice {
        path: one.path.clone(),
        weight: one.weight,
    });
    Resources {
        cpu_shares: service.cpu_shares,
        memory: over(limits.memory, service.mem_limit),
        nano_cpus: (cpus * 1e9).round() as i64,
        cgroup_parent: service.cgroup_parent.clone(),
        blkio_weight: blkio.weight,
        blkio_weight_device: some(weights.collect()),
        blkio_device_read_bps: rates(&blkio.device_read_bps),
        blkio_device_write_bps: rates(&blkio.device_write_bps),
        blkio_device_read_iops: rates(&blkio.device_read_iops),
        blkio_device_write_iops: rates(&blkio.device_write_iops),
        cpu_period: service.cpu_period,
        cpu_quota: service.cpu_quota,
        cpu_realtime_period: service.cpu_rt_period,
        cpu_realtime_runtime: service.cpu_rt_runtime,
        cpuset_cpus: service.cpuset.clone(),
        devices: some(plain.into_iter().map(mapping).collect()),
        device_cgroup_rules: service.device_cgroup_rules.clone(),
        device_requests: requests(service, &described, &reserved.devices),
        memory_reservation: over(reserved.memory, service.mem_reservation),
        memory_swap: service.memswap_limit,
        memory_swappiness: service.mem_swappiness,
        oom_kill_disable: service.oom_kill_disable.then_some(true),
        pids_limit: Some(over(limits.pids, service.pids_limit)).filter(|limit| *limit != 0),
        ulimits: ulimits(service),
        cpu_count: service.cpu_count,
        cpu_percent: service.cpu_percent as i64,
        ..Resources::default()
    }
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// `vendor.com/class=name`: a device that a file of the Container Device Interface describes.
fn described(device: &Device) -> bool {
    !device.source.starts_with('/') && device.source.contains('/') && device.source.contains('=')
}

fn mapping(device: &Device) -> DeviceMapping {
    DeviceMapping {
        path_on_host: device.source.clone(),
        path_in_container: device.target.clone(),
        cgroup_permissions: device.permissions.clone(),
    }
}

fn rates(rates: &[BlkioRate]) -> Option<Vec<ThrottleDevice>> {
    let one = |rate: &BlkioRate| ThrottleDevice {
        path: rate.path.clone(),
        rate: u64::try_from(rate.rate).unwrap_or_default(),
    };
    some(rates.iter().map(one).collect())
}

fn requests(
    service: &Service,
    described: &[&Device],
    reserved: &[DeviceClaim],
) -> Option<Vec<DeviceRequest>> {
    let claim = |claim: &DeviceClaim, capabilities: Vec<String>| DeviceRequest {
        driver: claim.driver.clone(),
        count: claim.count,
        device_ids: claim.device_ids.clone(),
        capabilities: Some(vec![capabilities]),
        options: Some(claim.options.clone()).filter(|options| !options.is_empty()),
    };
    let mut all: Vec<DeviceRequest> = reserved
        .iter()
        .map(|one| claim(one, one.capabilities.clone()))
        .collect();
    all.extend(service.gpus.iter().map(|gpu| {
        let mut capabilities = gpu.capabilities.clone();
        if !capabilities.iter().any(|word| word == "gpu") {
            capabilities.push("gpu".to_owned());
        }
        claim(gpu, capabilities)
    }));
    if !described.is_empty() {
        all.push(DeviceRequest {
            driver: "cdi".to_owned(),
            device_ids: Some(
                described
                    .iter()
                    .map(|device| device.source.clone())
                    .collect(),
            ),
            ..DeviceRequest::default()
        });
    }
    some(all)
}

fn ulimits(service: &Service) -> Option<Vec<Limit>> {
    let one = |(name, limit): (&String, &Ulimit)| {
        let (soft, hard) = match *limit {
            Ulimit::Both(number) => (number, number),
            Ulimit::Each { soft, hard } => (soft, hard),
        };
        Limit {
            name: name.clone(),
            hard,
            soft,
        }
    };
    some(service.ulimits.iter().map(one).collect())
}
