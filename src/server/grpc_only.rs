//! What is no gRPC request is told so in HTTP's words, before anything else looks at it.
//!
//! A form of a web page, grpc-web or JSON would else be read as a message: a provider might be asked, and paid, for an
//! answer that whoever asks cannot read.

use std::future::{Ready, ready};

use bytes::Bytes;
use futures_util::future::Either;
use http::{
    Method, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE},
};
use http_body_util::Full;
use tonic::body::Body;
use tower_layer::Layer;
use tower_service::Service;

/// Why a request is none of gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Method,
    ContentType,
}

/// The layer.
#[derive(Debug, Clone, Copy)]
pub struct GrpcOnlyLayer;

impl<S> Layer<S> for GrpcOnlyLayer {
    type Service = GrpcOnly<S>;

    fn layer(&self, inner: S) -> GrpcOnly<S> {
        GrpcOnly(inner)
    }
}

/// The service under the layer.
#[derive(Debug, Clone)]
pub struct GrpcOnly<S>(S);

impl<S> Service<Request<Body>> for GrpcOnly<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<Ready<Result<Response<Body>, S::Error>>, S::Future>;

    fn poll_ready(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match wrong(&request) {
            None => Either::Right(self.0.call(request)),
            Some(wrong) => Either::Left(ready(Ok(refusal(wrong)))),
        }
    }
}

fn wrong<B>(request: &Request<B>) -> Option<Wrong> {
    if request.method() != Method::POST {
        return Some(Wrong::Method);
    }
    let content_type = request.headers().get(CONTENT_TYPE);
    let is_grpc = content_type.is_some_and(|value| is_grpc(value.as_bytes()));
    (!is_grpc).then_some(Wrong::ContentType)
}

/// Whether it is `application/grpc` or `application/grpc+proto`, whatever parameters follow.
fn is_grpc(content_type: &[u8]) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    let Some((kind, rest)) = content_type.split_at_checked(GRPC.len()) else {
        return false;
    };
    let rest = match rest.split_at_checked(b"+proto".len()) {
        Some((suffix, rest)) if suffix.eq_ignore_ascii_case(b"+proto") => rest,
        _ => rest,
    };
    kind.eq_ignore_ascii_case(GRPC) && matches!(rest.trim_ascii_start().first(), None | Some(b';'))
}

fn refusal(wrong: Wrong) -> Response<Body> {
    let (status, why) = match wrong {
        Wrong::Method => (
            StatusCode::METHOD_NOT_ALLOWED,
            "gRPC requests are sent with POST\n",
        ),
        Wrong::ContentType => (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "this port takes gRPC: content-type application/grpc or application/grpc+proto\n",
        ),
    };
    let why = Full::new(Bytes::from_static(why.as_bytes()));
    let mut response = Response::new(Body::new(why));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static("text/plain"));
    if wrong == Wrong::Method {
        headers.insert(ALLOW, http::HeaderValue::from_static("POST"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_posts_with_grpcs_content_type_are_grpc() {
        for (method, content_type, expected) in [
            ("POST", Some("application/grpc"), None),
            ("POST", Some("application/grpc+proto"), None),
            ("POST", Some("Application/gRPC+Proto; charset=utf-8"), None),
            ("POST", Some("application/grpc;x=y"), None),
            (
                "POST",
                Some("application/grpc-web"),
                Some(Wrong::ContentType),
            ),
            (
                "POST",
                Some("application/grpc-web+proto"),
                Some(Wrong::ContentType),
            ),
            (
                "POST",
                Some("application/grpc+json"),
                Some(Wrong::ContentType),
            ),
            ("POST", Some("application/grpcx"), Some(Wrong::ContentType)),
            ("POST", Some("application/json"), Some(Wrong::ContentType)),
            (
                "POST",
                Some("application/x-www-form-urlencoded"),
                Some(Wrong::ContentType),
            ),
            ("POST", Some(""), Some(Wrong::ContentType)),
            ("POST", None, Some(Wrong::ContentType)),
            ("GET", Some("application/grpc"), Some(Wrong::Method)),
            ("OPTIONS", None, Some(Wrong::Method)),
        ] {
            let mut request = Request::builder().method(method);
            if let Some(content_type) = content_type {
                request = request.header(CONTENT_TYPE, content_type);
            }
            let request = request.body(()).unwrap();
            assert_eq!(wrong(&request), expected, "{method} {content_type:?}");
        }
    }
}
