//! One lookup as it is asked, of whichever kind.

use identity_gateway::proto::identity::v1::{
    CheckCurpRequest, KenyaIdType, ScrubKenyaIdRequest, Source, VerifyPeDniRequest,
    VerifyPeForeignerIdRequest, identity_service_client::IdentityServiceClient,
};
use tonic::{Request, Status, transport::Channel};

use crate::subjects::Kind;

/// The message of a request; a clone of it is the identical one.
#[derive(Clone)]
pub enum Question {
    /// Of `VerifyPeForeignerId`.
    Foreigner(VerifyPeForeignerIdRequest),
    /// Of `VerifyPeDni`.
    Dni(VerifyPeDniRequest),
    /// Of `ScrubKenyaId`.
    Kenya(ScrubKenyaIdRequest),
    /// Of `CheckCurp`.
    Curp(CheckCurpRequest),
}

impl Question {
    /// Asks about the person of a number; a create is no lookup.
    pub fn about(kind: Kind, n: u64) -> Result<Self, Status> {
        let identifier = kind.identifier(n);
        Ok(match kind {
            Kind::Foreigner => Self::Foreigner(VerifyPeForeignerIdRequest {
                document_number: identifier,
                birthdate: "1990-01-01".to_owned(),
                ..Default::default()
            }),
            Kind::Dni => Self::Dni(VerifyPeDniRequest {
                document_number: identifier,
                ..Default::default()
            }),
            Kind::Kenya => Self::Kenya(ScrubKenyaIdRequest {
                id: identifier,
                id_type: KenyaIdType::Passport.into(),
                subject_consent: true,
                ..Default::default()
            }),
            Kind::Curp => Self::Curp(CheckCurpRequest {
                curp: identifier,
                ..Default::default()
            }),
            Kind::Create => return Err(Status::internal("a create is no lookup")),
        })
    }

    /// The same with a `request_id`.
    pub fn with_id(mut self, id: String) -> Self {
        match &mut self {
            Self::Foreigner(message) => message.request_id = id,
            Self::Dni(message) => message.request_id = id,
            Self::Kenya(message) => message.request_id = id,
            Self::Curp(message) => message.request_id = id,
        }
        self
    }

    /// Asks it with the deadline and the metadata of `head`; where the answer came from.
    pub async fn ask(self, channel: Channel, head: Request<()>) -> Result<Source, Status> {
        let mut client = IdentityServiceClient::new(channel);
        let verification = match self {
            Self::Foreigner(message) => {
                let answer = client.verify_pe_foreigner_id(head.map(|()| message));
                answer.await?.into_inner().verification
            }
            Self::Dni(message) => {
                let answer = client.verify_pe_dni(head.map(|()| message));
                answer.await?.into_inner().verification
            }
            Self::Kenya(message) => {
                let answer = client.scrub_kenya_id(head.map(|()| message));
                answer.await?.into_inner().verification
            }
            Self::Curp(message) => {
                let answer = client.check_curp(head.map(|()| message));
                answer.await?.into_inner().verification
            }
        };
        Ok(verification.unwrap_or_default().source())
    }
}
