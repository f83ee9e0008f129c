//! Figures that are looked up when somebody asks: the process, the runtime, the tokens.

use std::{
    fs,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use opentelemetry::{KeyValue, metrics::Meter};

use super::{on, seconds_since_epoch};
use crate::{
    domain::verification::Provider,
    process,
    telemetry::names::{self, Metric},
};

/// `/proc` counts CPU time in these: 100 a second on every Linux there is (`sysconf(_SC_CLK_TCK)`).
const TICKS_PER_SECOND: f64 = 100.0;
/// `/proc` counts memory in pages of 4 KiB, but for `status`, which says kB.
const KIB: u64 = 1024;

/// When each provider's token expires, in Unix time.
static TOKENS: Mutex<[Option<f64>; Provider::ALL.len()]> = Mutex::new([None; Provider::ALL.len()]);

/// When the server's certificate expires, in Unix time.
static CERTIFICATE: Mutex<Option<f64>> = Mutex::new(None);

/// When the first revocation list of client certificates expires, in Unix time.
static CRL: Mutex<Option<f64>> = Mutex::new(None);

pub(super) fn certificate_expires(at: f64) {
    *CERTIFICATE.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
}

pub(super) fn crl_expires(at: f64) {
    *CRL.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
}

/// How many seconds are left.
fn left(expires: &Mutex<Option<f64>>) -> Option<f64> {
    let expires = *expires.lock().unwrap_or_else(PoisonError::into_inner);
    expires.map(|expires| expires - seconds_since_epoch(SystemTime::now()))
}

pub(super) fn token_expires(provider: Provider, at: Option<f64>) {
    let mut tokens = TOKENS.lock().unwrap_or_else(PoisonError::into_inner);
    for (known, slot) in Provider::ALL.into_iter().zip(tokens.iter_mut()) {
        if known == provider {
            *slot = at;
        }
    }
}

/// Registers everything that is looked up.
pub(super) fn observe(meter: &Meter) {
    let started = seconds_since_epoch(SystemTime::now());
    gauge(meter, &names::PROCESS_START, move || Some(started));
    gauge(meter, &names::PROCESS_MEMORY, resident);
    gauge(meter, &names::PROCESS_FDS, descriptors);
    gauge(meter, &names::CERTIFICATE_EXPIRES, || left(&CERTIFICATE));
    gauge(meter, &names::CRL_EXPIRES, || left(&CRL));
    cpu(meter);
    tokens(meter);
    runtime(meter);
    let Metric {
        name,
        unit,
        meaning,
        ..
    } = names::BUILD;
    let builder = meter.u64_observable_gauge(name).with_unit(unit);
    let _kept_by_the_meter = builder
        .with_description(meaning)
        .with_callback(|build| {
            let version = KeyValue::new(names::VERSION, env!("CARGO_PKG_VERSION"));
            let revision = option_env!("IDGW_REVISION").unwrap_or("unknown");
            build.observe(1, &[version, KeyValue::new(names::REVISION, revision)]);
        })
        .build();
}

fn gauge(meter: &Meter, metric: &Metric, read: impl Fn() -> Option<f64> + Send + Sync + 'static) {
    let builder = meter
        .f64_observable_gauge(metric.name)
        .with_unit(metric.unit);
    let _kept_by_the_meter = builder
        .with_description(metric.meaning)
        .with_callback(move |gauge| {
            if let Some(value) = read() {
                gauge.observe(value, &[]);
            }
        })
        .build();
}

fn cpu(meter: &Meter) {
    let Metric {
        name,
        unit,
        meaning,
        ..
    } = names::PROCESS_CPU;
    let builder = meter.f64_observable_counter(name).with_unit(unit);
    let _kept_by_the_meter = builder
        .with_description(meaning)
        .with_callback(|counter| {
            if let Some((user, system)) = cpu_seconds() {
                counter.observe(user, &[KeyValue::new(names::CPU_MODE, "user")]);
                counter.observe(system, &[KeyValue::new(names::CPU_MODE, "system")]);
            }
        })
        .build();
}

fn tokens(meter: &Meter) {
    let Metric {
        name,
        unit,
        meaning,
        ..
    } = names::TOKEN_EXPIRES;
    let builder = meter.f64_observable_gauge(name).with_unit(unit);
    let _kept_by_the_meter = builder
        .with_description(meaning)
        .with_callback(|gauge| {
            let now = seconds_since_epoch(SystemTime::now());
            let tokens = *TOKENS.lock().unwrap_or_else(PoisonError::into_inner);
            for (provider, expires) in Provider::ALL.into_iter().zip(tokens) {
                if let Some(expires) = expires {
                    gauge.observe(expires - now, &[on(provider)]);
                }
            }
        })
        .build();
}

/// Only what tokio promises to keep.
fn runtime(meter: &Meter) {
    let Ok(handle) = tokio::runtime::Handle::try_current() else {
        return;
    };
    let runtime = handle.metrics();
    let count = |value: usize| u32::try_from(value).ok().map(f64::from);
    let read = runtime.clone();
    gauge(meter, &names::TOKIO_WORKERS, move || {
        count(read.num_workers())
    });
    let read = runtime.clone();
    gauge(meter, &names::TOKIO_TASKS, move || {
        count(read.num_alive_tasks())
    });
    let read = runtime.clone();
    gauge(meter, &names::TOKIO_QUEUE, move || {
        count(read.global_queue_depth())
    });
    let Metric {
        name,
        unit,
        meaning,
        ..
    } = names::TOKIO_BUSY;
    let builder = meter.f64_observable_counter(name).with_unit(unit);
    let _kept_by_the_meter = builder
        .with_description(meaning)
        .with_callback(move |counter| {
            let workers = 0..runtime.num_workers();
            let busy: Duration = workers.map(|n| runtime.worker_total_busy_duration(n)).sum();
            counter.observe(busy.as_secs_f64(), &[]);
        })
        .build();
}

fn resident() -> Option<f64> {
    let kib = u32::try_from(process::resident()? / KIB).ok()?;
    Some(f64::from(kib) * KIB as f64)
}

fn descriptors() -> Option<f64> {
    let open = fs::read_dir("/proc/self/fd").ok()?.count();
    // One of them is the directory that is being read.
    u32::try_from(open.saturating_sub(1)).ok().map(f64::from)
}

/// User and system time. The second field of the line is the program's name in brackets, and may hold anything.
fn cpu_seconds() -> Option<(f64, f64)> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? / TICKS_PER_SECOND, ticks()? / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_can_read_its_own_figures() {
        assert!(resident().unwrap() > 1e6);
        assert!(descriptors().unwrap() >= 3.0);
        let (user, system) = cpu_seconds().unwrap();
        assert!(user >= 0.0 && system >= 0.0 && user + system < 1e6);
    }
}
