//! An OpenTelemetry collector that keeps everything it is sent.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{
            ExportLogsServiceRequest, ExportLogsServiceResponse,
            logs_service_server::{LogsService, LogsServiceServer},
        },
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::{AnyValue, KeyValue, any_value},
    logs::v1::LogRecord,
    metrics::v1::Metric,
    trace::v1::Span,
};
use tokio::sync::watch;
use tonic::{Request, Response, Status, transport::Server, transport::server::TcpIncoming};

/// A busy machine exports late.
const PATIENCE: Duration = Duration::from_secs(30);

/// Everything so far.
#[derive(Default)]
struct Received {
    traces: Vec<ExportTraceServiceRequest>,
    metrics: Vec<ExportMetricsServiceRequest>,
    logs: Vec<ExportLogsServiceRequest>,
}

/// A running collector. It ends with the test's runtime.
#[derive(Clone)]
pub struct Collector {
    pub address: SocketAddr,
    received: Arc<Mutex<Received>>,
    count: watch::Sender<usize>,
}

impl Collector {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let collector = Self {
            address: listener.local_addr().unwrap(),
            received: Arc::default(),
            count: watch::Sender::new(0),
        };
        let server = Server::builder()
            .add_service(TraceServiceServer::new(collector.clone()))
            .add_service(MetricsServiceServer::new(collector.clone()))
            .add_service(LogsServiceServer::new(collector.clone()))
            .serve_with_incoming(TcpIncoming::from(listener));
        tokio::spawn(server);
        collector
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every span so far.
    pub fn spans(&self) -> Vec<Span> {
        let received = self.received.lock().unwrap();
        let resources = received.traces.iter().flat_map(|one| &one.resource_spans);
        let scopes = resources.flat_map(|one| &one.scope_spans);
        scopes.flat_map(|one| one.spans.clone()).collect()
    }

    /// Every metric so far, as often as it was sent.
    pub fn metrics(&self) -> Vec<Metric> {
        let received = self.received.lock().unwrap();
        let resources = received.metrics.iter();
        let resources = resources.flat_map(|one| &one.resource_metrics);
        let scopes = resources.flat_map(|one| &one.scope_metrics);
        scopes.flat_map(|one| one.metrics.clone()).collect()
    }

    /// Every log record so far.
    pub fn logs(&self) -> Vec<LogRecord> {
        let received = self.received.lock().unwrap();
        let resources = received.logs.iter().flat_map(|one| &one.resource_logs);
        let scopes = resources.flat_map(|one| &one.scope_logs);
        scopes.flat_map(|one| one.log_records.clone()).collect()
    }

    /// Everything, signal by signal, as text.
    pub fn text(&self) -> [(&'static str, String); 3] {
        let received = self.received.lock().unwrap();
        [
            ("exported spans", format!("{:?}", received.traces)),
            ("exported metrics", format!("{:?}", received.metrics)),
            ("exported logs", format!("{:?}", received.logs)),
        ]
    }

    /// Waits for spans that satisfy the test.
    pub async fn until(&self, is_enough: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let mut count = self.count.subscribe();
        let waiting = async {
            loop {
                count.mark_unchanged();
                let spans = self.spans();
                if is_enough(&spans) {
                    return spans;
                }
                count.changed().await.unwrap();
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(spans) => spans,
            Err(_) => panic!("not enough spans: {:#?}", names(&self.spans())),
        }
    }

    fn took(&self, keep: impl FnOnce(&mut Received)) {
        keep(&mut self.received.lock().unwrap());
        self.count.send_modify(|count| *count += 1);
    }
}

/// The spans' names, for messages.
pub fn names(spans: &[Span]) -> Vec<&str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}

/// An attribute as text; none if there is none.
pub fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    let pair = attributes.iter().find(|pair| pair.key == name)?;
    pair.value.as_ref().map(written)
}

fn written(value: &AnyValue) -> String {
    match value.value.as_ref().unwrap() {
        any_value::Value::StringValue(text) => text.clone(),
        any_value::Value::IntValue(number) => number.to_string(),
        any_value::Value::DoubleValue(number) => number.to_string(),
        any_value::Value::BoolValue(flag) => flag.to_string(),
        other => panic!("an attribute of a kind that is never used: {other:?}"),
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.took(|received| received.traces.push(request.into_inner()));
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.took(|received| received.metrics.push(request.into_inner()));
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        self.took(|received| received.logs.push(request.into_inner()));
        Ok(Response::new(Default::default()))
    }
}
