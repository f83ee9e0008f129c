//! A walk over the descriptor set: every RPC is closed to nobody's call and to the wrong scope, and open
//! to the right one. What is open besides.

use std::collections::BTreeSet;

use identity_gateway::{policy::Policies, proto};
use serde_json::json;
use tempfile::TempDir;
use tonic::{Code, Request, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest,
};

use crate::{
    access::rig::{refusal, rpcs},
    kit::{
        gateway::Gateway,
        issuer::{AUDIENCE, ISSUER, Signer, key_set},
    },
};

struct Stage {
    gateway: Gateway,
    signer: Signer,
    _directory: TempDir,
}

/// A gateway where a token's scope of the contract's policy grants the RPC with this scope.
async fn stage(more: &[(&str, &str)]) -> Stage {
    let signer = Signer::es256("one");
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    std::fs::write(path("jwks.json"), key_set(&[&signer])).unwrap();
    let rules: String = scopes()
        .iter()
        .map(|scope| {
            format!(
                "[[allow]]\nname = '{scope}'\ntoken_scopes = ['{scope}']\nrpcs = ['{scope}']\n\
                     persons = 'all'\nclasses = ['contacts', 'bureau', 'images', 'envelope']\n"
            )
        })
        .collect();
    std::fs::write(path("policy.toml"), rules).unwrap();
    let own = [
        ("IDGW_AUTH__MODE", "jwt".to_owned()),
        ("IDGW_AUTH__JWT__ISSUER", ISSUER.to_owned()),
        ("IDGW_AUTH__JWT__AUDIENCE", AUDIENCE.to_owned()),
        ("IDGW_AUTH__JWT__JWKS_FILE", path("jwks.json")),
        ("IDGW_AUTH__POLICY_FILE", path("policy.toml")),
    ];
    let more = more
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    Stage {
        gateway: Gateway::sandbox(own.into_iter().chain(more)).await,
        signer,
        _directory: directory,
    }
}

fn scopes() -> BTreeSet<String> {
    let policies = Policies::from_descriptors(proto::descriptors()).unwrap();
    policies
        .iter()
        .map(|(_, policy)| policy.scope.clone())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_is_closed_to_nobody_and_to_the_wrong_scope_and_open_to_the_right_one() {
    let Stage {
        gateway, signer, ..
    } = &stage(&[]).await;
    let policies = Policies::from_descriptors(proto::descriptors()).unwrap();
    let rpcs = rpcs();
    // Each RPC has a scope of its own: the wrong one is another RPC's.
    assert_eq!(scopes().len(), rpcs.len());
    assert!(rpcs.len() >= 9);
    for (rpc, request) in &rpcs {
        let own = policies.get(rpc).unwrap().scope;
        let call = async |bearer: Option<&str>| {
            let bearer = bearer.map(|bearer| format!("Bearer {bearer}"));
            let metadata = bearer
                .as_ref()
                .map(|bearer| ("authorization", bearer.as_str()));
            let metadata: Vec<_> = metadata.into_iter().collect();
            gateway.client.call_as(rpc, request, &metadata).await
        };
        let others = scopes().into_iter().filter(|scope| *scope != own);
        let others = others.collect::<Vec<_>>().join(" ");
        let forged = Signer::es256("one").token("alice", &own);
        for (what, bearer, code, reason) in [
            ("nobody", None, Code::Unauthenticated, "UNAUTHENTICATED"),
            (
                "forged",
                Some(forged),
                Code::Unauthenticated,
                "UNAUTHENTICATED",
            ),
            (
                "no scope",
                Some(signer.token("alice", "")),
                Code::PermissionDenied,
                "METHOD_NOT_ALLOWED",
            ),
            (
                "wrong scope",
                Some(signer.token("alice", &others)),
                Code::PermissionDenied,
                "METHOD_NOT_ALLOWED",
            ),
        ] {
            let refused = refusal(&call(bearer.as_deref()).await);
            assert_eq!(refused, (code, reason.to_owned()), "{rpc}: {what}");
        }
        let answered = call(Some(&signer.token("alice", &own))).await;
        assert!(answered.is_ok(), "{rpc}: {answered:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_hears_what_is_wrong_with_a_request_before_they_are_known() {
    let Stage { gateway, .. } = &stage(&[]).await;
    for (rpc, _) in rpcs() {
        let refused = refusal(&gateway.client.call(&rpc, &json!({})).await);
        assert_eq!(refused.0, Code::Unauthenticated, "{rpc}");
    }
}

async fn channel(gateway: &Gateway) -> Channel {
    let address = format!("http://{}", gateway.grpc);
    Channel::from_shared(address)
        .unwrap()
        .connect()
        .await
        .unwrap()
}

async fn reflect(gateway: &Gateway, bearer: Option<&str>) -> Code {
    let mut client = ServerReflectionClient::new(channel(gateway).await);
    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut request = Request::new(tokio_stream::iter([question]));
    if let Some(bearer) = bearer {
        let value = format!("Bearer {bearer}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    match client.server_reflection_info(request).await {
        Ok(answers) => match answers.into_inner().message().await {
            Ok(_) => Code::Ok,
            Err(status) => status.code(),
        },
        Err(status) => status.code(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_open_and_reflection_is_for_every_identified_caller() {
    let Stage {
        gateway, signer, ..
    } = &stage(&[]).await;
    let mut health = HealthClient::new(channel(gateway).await);
    for service in [
        "",
        "idgw.identity.v1.IdentityService",
        "idgw.person.v1.PersonService",
    ] {
        let service = service.to_owned();
        let answer = health.check(HealthCheckRequest { service }).await.unwrap();
        assert_eq!(answer.into_inner().status, 1);
    }
    assert_eq!(reflect(gateway, None).await, Code::Unauthenticated);
    assert_eq!(
        reflect(gateway, Some("forged")).await,
        Code::Unauthenticated
    );
    // Who may call nothing may still ask what there is.
    let token = signer.token("alice", "");
    assert_eq!(reflect(gateway, Some(&token)).await, Code::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_that_is_off_is_off_for_everybody() {
    let Stage {
        gateway, signer, ..
    } = &stage(&[("IDGW_SERVER__REFLECTION", "false")]).await;
    assert_eq!(reflect(gateway, None).await, Code::Unauthenticated);
    let token = signer.token("alice", "identity.curp.check");
    assert_eq!(reflect(gateway, Some(&token)).await, Code::Unimplemented);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_is_not_there_is_unimplemented_for_everybody() {
    let Stage {
        gateway, signer, ..
    } = &stage(&[]).await;
    let call = async |path: &'static str, bearer: Option<String>| {
        let mut grpc = tonic::client::Grpc::new(channel(gateway).await);
        grpc.ready().await.unwrap();
        let mut request = Request::new(HealthCheckRequest::default());
        if let Some(bearer) = bearer {
            let value = format!("Bearer {bearer}").parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        let codec = tonic_prost::ProstCodec::<_, HealthCheckRequest>::default();
        let path = http::uri::PathAndQuery::from_static(path);
        grpc.unary(request, path, codec).await.unwrap_err()
    };
    for path in [
        "/idgw.identity.v1.IdentityService/Nothing",
        // As load balancers ask.
        "/AWS.ALB/healthcheck",
        "/",
    ] {
        for bearer in [None, Some(signer.token("alice", ""))] {
            let status = call(path, bearer).await;
            assert_eq!(status.code(), Code::Unimplemented, "{path}");
            assert!(status.message().starts_with("no such method"), "{status}");
            assert!(!status.message().contains(path) || path == "/", "{status}");
        }
    }
}
