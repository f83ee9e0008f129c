//! Copies of the records for a collector, as OTLP logs. A record is copied once it stands in the sink:
//! the sink is what `audit.required` counts on, and what the chain is about.
//!
//! The body of a copy is the record's whole line, so that whoever keeps the bodies can verify the chain.
//! Copies wait in a bounded queue and are sent by a thread of the SDK's. One that does not get into the
//! queue, or that the collector does not take, is counted (`idgw.audit.records`, `unsent`).

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    logs::{
        BatchConfigBuilder, BatchLogProcessor, LogBatch, LogExporter, SdkLogger, SdkLoggerProvider,
    },
};

use crate::telemetry::{export, labels::Recorded, metrics, names, otlp::WayError, resource};

/// How long the end of the process waits for the last copies.
const FLUSH_LIMIT: Duration = Duration::from_secs(3);

/// Why there can be no copies.
#[derive(Debug, thiserror::Error)]
pub enum Unsendable {
    /// Nothing may be sent.
    #[error("OTEL_SDK_DISABLED is true")]
    Disabled,
    /// The exporter cannot be made.
    #[error(transparent)]
    Exporter(#[from] WayError),
}

/// The way to the collector.
pub struct Copies {
    provider: SdkLoggerProvider,
    logger: SdkLogger,
    waiting: Arc<AtomicUsize>,
    most: usize,
}

impl Copies {
    /// Copies of which so many may wait to be sent. Needs a runtime.
    ///
    /// # Errors
    ///
    /// If `OTEL_*` says that nothing is sent, or nothing that can be followed.
    pub fn start(most: usize) -> Result<Self, Unsendable> {
        if export::is_disabled() {
            return Err(Unsendable::Disabled);
        }
        Ok(Self::to(export::logs()?, resource::resource(), most))
    }

    fn to(exporter: impl LogExporter + 'static, resource: Resource, most: usize) -> Self {
        let waiting = Arc::<AtomicUsize>::default();
        let counted = Counted {
            exporter,
            waiting: Arc::clone(&waiting),
        };
        let queue = BatchConfigBuilder::default().with_max_queue_size(most);
        let processor = BatchLogProcessor::builder(counted)
            .with_batch_config(queue.build())
            .build();
        let provider = SdkLoggerProvider::builder()
            .with_resource(resource)
            .with_log_processor(processor)
            .build();
        Self {
            logger: provider.logger(names::SCOPE),
            provider,
            waiting,
            most,
        }
    }

    /// Sends a copy of a line. Never waits.
    pub fn send(&self, line: &[u8], time: Timestamp) {
        // The SDK drops what its queue cannot hold, and does not say so.
        let enters = |waiting: usize| (waiting < self.most).then_some(waiting + 1);
        let order = Ordering::Relaxed;
        if self.waiting.fetch_update(order, order, enters).is_err() {
            metrics::recorded(Recorded::Unsent);
            return;
        }
        let mut record = self.logger.create_log_record();
        record.set_event_name(names::AUDIT_EVENT);
        record.set_severity_number(Severity::Info);
        record.set_timestamp(time.into());
        record.set_body(AnyValue::from(String::from_utf8_lossy(line).into_owned()));
        self.logger.emit(record);
    }

    /// Sends the last ones, and waits for that, though not for ever. Blocks.
    pub fn end(&self) {
        let _lost_if_it_failed = self.provider.shutdown_with_timeout(FLUSH_LIMIT);
    }
}

/// An exporter that knows how many records are still on their way to it, and counts those it loses.
#[derive(Debug)]
struct Counted<E> {
    exporter: E,
    waiting: Arc<AtomicUsize>,
}

impl<E: LogExporter> LogExporter for Counted<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let count = batch.iter().count();
        let exported = self.exporter.export(batch).await;
        self.waiting.fetch_sub(count, Ordering::Relaxed);
        if exported.is_err() {
            (0..count).for_each(|_| metrics::recorded(Recorded::Unsent));
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use super::*;

    /// Takes nothing until its channel says so, or is closed.
    #[derive(Debug)]
    struct Slow {
        go: Mutex<mpsc::Receiver<()>>,
        took: Arc<Mutex<Vec<AnyValue>>>,
    }

    impl LogExporter for Slow {
        async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
            let _told = self.go.lock().unwrap().recv();
            let bodies = batch
                .iter()
                .filter_map(|(record, _)| record.body().cloned());
            self.took.lock().unwrap().extend(bodies);
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }
    }

    #[test]
    fn what_the_queue_cannot_hold_is_not_sent_and_the_rest_is_in_order() {
        let (go, told) = mpsc::channel();
        let took = Arc::<Mutex<Vec<_>>>::default();
        let slow = Slow {
            go: Mutex::new(told),
            took: Arc::clone(&took),
        };
        let copies = Copies::to(slow, Resource::builder_empty().build(), 3);
        for line in ["one", "two", "three", "four", "five"] {
            copies.send(line.as_bytes(), Timestamp::UNIX_EPOCH);
        }
        drop(go);
        copies.end();
        let expected = ["one", "two", "three"].map(AnyValue::from);
        assert_eq!(*took.lock().unwrap(), expected);
    }
}
