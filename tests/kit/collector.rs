//! An OpenTelemetry collector that keeps everything it is sent.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use flate2::read::GzDecoder;
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
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
use prost::{Message, bytes::Bytes};
use rustls::{
    pki_types::{CertificateDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tonic::{
    Request, Response, Status,
    codec::CompressionEncoding,
    transport::{Server, ServerTlsConfig, server::TcpIncoming},
};

use super::certs::{Ca, Pair};

/// A busy machine exports late.
const PATIENCE: Duration = Duration::from_secs(30);

const GZIP: CompressionEncoding = CompressionEncoding::Gzip;

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

/// Who a collector over TLS is, and whose clients it takes.
pub struct Identity<'a> {
    pub own: &'a Pair,
    pub clients: Option<&'a Ca>,
}

impl Collector {
    pub async fn start() -> Self {
        Self::over(None).await
    }

    fn new(address: SocketAddr) -> Self {
        Self {
            address,
            received: Arc::default(),
            count: watch::Sender::new(0),
        }
    }

    /// OTLP over gRPC, in plain text or over TLS.
    pub async fn over(tls: Option<Identity<'_>>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let collector = Self::new(listener.local_addr().unwrap());
        let mut server = Server::builder();
        if let Some(Identity { own, clients }) = tls {
            let identity = tonic::transport::Identity::from_pem(&own.certificate, &own.key);
            let mut tls = ServerTlsConfig::new().identity(identity);
            if let Some(ca) = clients {
                tls = tls.client_ca_root(tonic::transport::Certificate::from_pem(ca.pem()));
            }
            server = server.tls_config(tls).unwrap();
        }
        let server = server
            .add_service(TraceServiceServer::new(collector.clone()).accept_compressed(GZIP))
            .add_service(MetricsServiceServer::new(collector.clone()).accept_compressed(GZIP))
            .add_service(LogsServiceServer::new(collector.clone()).accept_compressed(GZIP))
            .serve_with_incoming(TcpIncoming::from(listener));
        tokio::spawn(server);
        collector
    }

    /// OTLP over HTTP, as binary protobuf, in plain text or over TLS.
    pub async fn over_http(tls: Option<Identity<'_>>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let collector = Self::new(listener.local_addr().unwrap());
        let acceptor = tls.map(|tls| TlsAcceptor::from(Arc::new(accepts(&tls))));
        let taking = collector.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (collector, acceptor) = (taking.clone(), acceptor.clone());
                tokio::spawn(async move {
                    let service = service_fn(|request| collector.take_http(request));
                    let http = http1::Builder::new();
                    let _ended = match acceptor {
                        None => http.serve_connection(TokioIo::new(stream), service).await,
                        Some(acceptor) => match acceptor.accept(stream).await {
                            Ok(stream) => {
                                http.serve_connection(TokioIo::new(stream), service).await
                            }
                            Err(_refused) => return,
                        },
                    };
                });
            }
        });
        collector
    }

    async fn take_http(
        &self,
        request: http::Request<Incoming>,
    ) -> Result<http::Response<Full<Bytes>>, std::convert::Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = match head.headers.get("content-encoding") {
            Some(_) => {
                let mut plain = Vec::new();
                std::io::Read::read_to_end(&mut GzDecoder::new(&*body), &mut plain).unwrap();
                plain.into()
            }
            None => body,
        };
        assert_eq!(head.headers["content-type"], "application/x-protobuf");
        match head.uri.path() {
            "/v1/traces" => {
                self.took(|received| received.traces.push(Message::decode(body).unwrap()))
            }
            "/v1/metrics" => {
                self.took(|received| received.metrics.push(Message::decode(body).unwrap()));
            }
            "/v1/logs" => self.took(|received| received.logs.push(Message::decode(body).unwrap())),
            _ => {
                let mut answer = http::Response::default();
                *answer.status_mut() = http::StatusCode::NOT_FOUND;
                return Ok(answer);
            }
        }
        Ok(http::Response::default())
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

    /// Who sent the first spans.
    pub fn resource(&self) -> Vec<KeyValue> {
        let received = self.received.lock().unwrap();
        let first = &received.traces[0].resource_spans[0];
        first.resource.clone().unwrap().attributes
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

fn accepts(tls: &Identity<'_>) -> rustls::ServerConfig {
    let server = rustls::ServerConfig::builder();
    let server = match tls.clients {
        None => server.with_no_client_auth(),
        Some(ca) => {
            let mut roots = rustls::RootCertStore::empty();
            let pem = ca.pem();
            roots.add_parsable_certificates(
                CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap),
            );
            let clients = WebPkiClientVerifier::builder(Arc::new(roots));
            server.with_client_cert_verifier(clients.build().unwrap())
        }
    };
    let chain = vec![tls.own.der()];
    server
        .with_single_cert(chain, tls.own.private_key())
        .unwrap()
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
