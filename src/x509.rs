//! The few things that are read of certificates and revocation lists: how long they are good, who they are about, and
//! the names that a client is known by.
//!
//! Whether they can be trusted is webpki's to say, which takes more than a strict parser does: long serial numbers,
//! UUIDs as object identifiers, names of any kind. So nothing is looked at here but what is asked for.

use std::time::SystemTime;

use x509_cert::der::{
    Decode as _, Reader as _, SliceReader, Tag, Tagged as _,
    asn1::{AnyRef, GeneralizedTime, UtcTime},
};

/// Object identifier 2.5.29.17, subjectAltName, without its header.
const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1d, 0x11];
const CONTEXT_EXTENSIONS: u32 = 3;
const GENERAL_NAME_DNS: u32 = 2;
const GENERAL_NAME_URI: u32 = 6;

/// A certificate, as far as it is read.
pub struct Certificate<'a> {
    /// First moment of its validity.
    pub not_before: SystemTime,
    /// Last second of its validity.
    pub not_after: SystemTime,
    subject: AnyRef<'a>,
    rest: Vec<AnyRef<'a>>,
}

/// A revocation list, as far as it is read.
pub struct RevocationList<'a> {
    /// When the next one is due, if it says so.
    pub next_update: Option<SystemTime>,
    issuer: AnyRef<'a>,
}

/// A name of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AltName<'a> {
    /// A URI.
    Uri(&'a str),
    /// A DNS name.
    Dns(&'a str),
}

impl<'a> Certificate<'a> {
    /// Reads a certificate in DER; none if it is none.
    #[must_use]
    pub fn read(der: &'a [u8]) -> Option<Self> {
        let mut fields = signed(der)?;
        // [0] version, serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo, …
        fields.next_if(|field| is_context(field, 0));
        let (validity, subject) = (fields.nth(3)?, fields.next()?);
        let mut times = elements(validity)?.into_iter();
        Some(Self {
            not_before: time(times.next()?)?,
            not_after: time(times.next()?)?,
            subject,
            rest: fields.collect(),
        })
    }

    /// Its names of the kinds that clients are known by, in their order. One that is no text is left out.
    #[must_use]
    pub fn alt_names(&self) -> Vec<AltName<'a>> {
        self.names().unwrap_or_default()
    }

    fn names(&self) -> Option<Vec<AltName<'a>>> {
        let mut rest = self.rest.iter();
        let tagged = rest.find(|field| is_context(field, CONTEXT_EXTENSIONS))?;
        let extensions = elements(AnyRef::from_der(tagged.value()).ok()?)?;
        let mut extensions = extensions.into_iter().filter_map(elements);
        let alt_name = extensions.find(|parts| {
            let id = parts.first();
            id.is_some_and(|id| id.value() == SUBJECT_ALT_NAME)
        })?;
        let names = elements(AnyRef::from_der(alt_name.last()?.value()).ok()?)?;
        let names = names.into_iter().filter_map(|name| {
            let text = std::str::from_utf8(name.value()).ok()?;
            match name.tag() {
                tag if is(tag, GENERAL_NAME_URI) => Some(AltName::Uri(text)),
                tag if is(tag, GENERAL_NAME_DNS) => Some(AltName::Dns(text)),
                _ => None,
            }
        });
        Some(names.collect())
    }
}

impl<'a> RevocationList<'a> {
    /// Reads a revocation list in DER; none if it is none.
    #[must_use]
    pub fn read(der: &'a [u8]) -> Option<Self> {
        let mut fields = signed(der)?;
        // version, signature, issuer, thisUpdate, nextUpdate, …
        fields.next_if(|field| field.tag() == Tag::Integer);
        let issuer = fields.nth(1)?;
        time(fields.next()?)?;
        Some(Self {
            next_update: fields.next().and_then(time),
            issuer,
        })
    }

    /// Whether it is a list of this authority's.
    #[must_use]
    pub fn is_of(&self, authority: &Certificate<'_>) -> bool {
        self.issuer == authority.subject
    }
}

type Fields<'a> = std::iter::Peekable<std::vec::IntoIter<AnyRef<'a>>>;

/// The fields of what is signed: the first element of the whole.
fn signed(der: &[u8]) -> Option<Fields<'_>> {
    let whole = elements(AnyRef::from_der(der).ok()?)?;
    Some(elements(*whole.first()?)?.into_iter().peekable())
}

/// The elements of a SEQUENCE.
fn elements(sequence: AnyRef<'_>) -> Option<Vec<AnyRef<'_>>> {
    if sequence.tag() != Tag::Sequence {
        return None;
    }
    let mut reader = SliceReader::new(sequence.value()).ok()?;
    let mut found = Vec::new();
    while !reader.is_finished() {
        found.push(AnyRef::decode(&mut reader).ok()?);
    }
    Some(found)
}

fn is_context(field: &AnyRef<'_>, number: u32) -> bool {
    is(field.tag(), number)
}

fn is(tag: Tag, wanted: u32) -> bool {
    matches!(tag, Tag::ContextSpecific { number, .. } if number.value() == wanted)
}

/// A time in either of its forms. What is before 1970 begins there.
fn time(field: AnyRef<'_>) -> Option<SystemTime> {
    match field.tag() {
        Tag::UtcTime => match field.decode_as::<UtcTime>() {
            Ok(time) => Some(time.to_system_time()),
            Err(_) => matches!(field.value(), [b'5'..=b'6', ..]).then_some(SystemTime::UNIX_EPOCH),
        },
        Tag::GeneralizedTime => {
            let time = field.decode_as::<GeneralizedTime>().ok()?;
            Some(time.to_system_time())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CustomExtension, IsCa, KeyPair, SanType, SerialNumber,
        date_time_ymd,
    };

    use super::*;

    fn params() -> CertificateParams {
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(2024, 2, 29);
        params.not_after = date_time_ymd(2051, 1, 1);
        params
    }

    fn made(params: &CertificateParams) -> Vec<u8> {
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn validity_is_read_in_both_forms_of_time_and_names_in_their_order() {
        let mut params = params();
        params.subject_alt_names = vec![
            SanType::IpAddress([127, 0, 0, 1].into()),
            SanType::DnsName("api.bank.example".try_into().unwrap()),
            SanType::URI("spiffe://bank.example/api".try_into().unwrap()),
        ];
        let der = made(&params);
        let read = Certificate::read(&der).unwrap();
        assert_eq!(read.not_before, SystemTime::from(params.not_before));
        assert_eq!(read.not_after, SystemTime::from(params.not_after));
        let (dns, uri) = ("api.bank.example", "spiffe://bank.example/api");
        assert_eq!(read.alt_names(), [AltName::Dns(dns), AltName::Uri(uri)]);
    }

    /// What webpki takes must not be lost here.
    #[test]
    fn what_is_not_asked_for_may_be_odd() {
        let mut odd = params();
        odd.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        odd.serial_number = Some(SerialNumber::from_slice(&[0x7f; 24]));
        // 2.25 and a UUID, as an object identifier.
        let id = [2, 25, u64::MAX];
        odd.custom_extensions = vec![CustomExtension::from_oid_content(&id, vec![5, 0])];
        let other = SanType::OtherName((vec![2, 25, u64::MAX], "someone".into()));
        let uri = SanType::URI("spiffe://bank.example/api".try_into().unwrap());
        odd.subject_alt_names = vec![other, uri];
        let der = made(&odd);
        let read = Certificate::read(&der).expect("a certificate");
        let uri = AltName::Uri("spiffe://bank.example/api");
        assert_eq!(read.alt_names(), [uri]);
        assert!(
            Certificate::read(&made(&params()))
                .unwrap()
                .alt_names()
                .is_empty()
        );
    }

    #[test]
    fn what_is_cut_or_changed_at_any_byte_is_read_or_not_and_nothing_worse() {
        let mut params = params();
        params.subject_alt_names = vec![SanType::DnsName("api.bank.example".try_into().unwrap())];
        let whole = made(&params);
        for place in 0..whole.len() {
            assert!(Certificate::read(&whole[..place]).is_none(), "{place}");
            for bit in 0..8 {
                let mut other = whole.clone();
                other[place] ^= 1 << bit;
                let names = Certificate::read(&other).map(|read| read.alt_names().len());
                assert!(names.unwrap_or_default() <= 2, "{place}");
                let _list = RevocationList::read(&other);
            }
        }
    }
}
