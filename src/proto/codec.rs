//! prost's codec, which first counts what a request is made of.
//!
//! Two bytes on the wire can be a hundred in memory: an empty `google.protobuf.Value`, an empty path of a field
//! mask. So what could take much is counted before anything of it is decoded: a large request of many small
//! elements is none that the contract knows.
//!
//! A message that was compressed has taken little on its way here. What it takes now is counted where the call is
//! ([`counted`]) before anything of it is kept; until then tonic holds no more of it than the largest request.

use std::{marker::PhantomData, sync::Arc};

use bytes::Buf as _;
use prost::{
    DecodeError, Message, Name,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use prost_reflect::{Kind, MessageDescriptor};
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder},
};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

use super::descriptors;

/// Requests that are no larger are decoded uncounted: their elements take some hundred kilobytes at most, for as
/// long as it takes to refuse them.
const SMALL: usize = 4096;
/// Most elements of a larger request: fields of it and of the messages in it. The largest that anybody needs has
/// its metadata (64 members) and a path for each field of a reply.
const MOST_ELEMENTS: usize = 1000;
/// How deep messages are looked into; prost goes no deeper.
const DEPTH: u32 = 100;

/// The message of the status of a request with too many elements, behind the name of its field with the most.
pub const TOO_MANY: &str = "has too many elements";

/// The message of the status of a request with more messages than one. No RPC of the contract takes several.
pub const NOT_ONE: &str = "must be one message";

/// Finds room for so many bytes, or says that there is none.
pub type Room = Arc<dyn Fn(usize) -> Result<(), Status> + Send + Sync>;

tokio::task_local! {
    static ROOM: Room;
}

/// The work on a request that is compressed, whose bytes need room.
pub fn counted<F: Future>(room: Room, work: F) -> impl Future<Output = F::Output> {
    ROOM.scope(room, work)
}

/// The codec of the contract's services.
#[derive(Debug, Clone)]
pub struct CountingCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for CountingCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for CountingCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Name + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = CountingDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::default())
    }

    fn decoder(&mut self) -> Self::Decoder {
        CountingDecoder {
            inner: ProstCodec::<T, U>::raw_decoder(BufferSettings::default()),
            has_decoded: false,
        }
    }
}

/// Its decoder.
#[derive(Debug)]
pub struct CountingDecoder<U> {
    inner: ProstDecoder<U>,
    has_decoded: bool,
}

impl<U: Message + Name + Default> Decoder for CountingDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // tonic reads on to the end before a handler sees the first: nothing was done yet.
        if std::mem::replace(&mut self.has_decoded, true) {
            return Err(Status::invalid_argument(NOT_ONE));
        }
        if let Ok(room) = ROOM.try_with(Arc::clone) {
            room(buffer.remaining())?;
        }
        // A message lies in one piece.
        if buffer.remaining() > SMALL
            && let Some(request) = request::<U>()
            && let Err(field) = count(&request, buffer.chunk())
        {
            return Err(Status::invalid_argument(format!("{field} {TOO_MANY}")));
        }
        self.inner.decode(buffer)
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.inner.buffer_settings()
    }
}

/// The message's descriptor, if it is what some RPC of the contract asks: replies come from a gateway.
fn request<U: Name>() -> Option<MessageDescriptor> {
    let name = U::full_name();
    let asked = |method: prost_reflect::MethodDescriptor| method.input().full_name() == name;
    let mut services = descriptors().services();
    services
        .any(|service| service.methods().any(asked))
        .then(|| descriptors().get_message_by_name(&name))
        .flatten()
}

/// Counts the elements.
///
/// # Errors
///
/// The field of the request with which they became too many. What cannot be read is left to the decoder, which
/// stops there too.
fn count(request: &MessageDescriptor, wire: &[u8]) -> Result<(), String> {
    let mut left = MOST_ELEMENTS;
    let mut rest = wire;
    while !rest.is_empty() {
        let Ok((field, part)) = next(&mut rest) else {
            return Ok(());
        };
        let known = request.get_field(field);
        let name = || {
            known
                .as_ref()
                .map_or("request", |known| known.name())
                .to_owned()
        };
        let inner = known.as_ref().and_then(|known| message(known.kind()));
        take(&mut left).ok_or_else(name)?;
        if let (Some(inner), Some(part)) = (inner, part) {
            count_inner(&inner, part, &mut left, DEPTH).ok_or_else(name)?;
        }
    }
    Ok(())
}

/// Counts the elements of a message in the request; none if they are too many.
fn count_inner(of: &MessageDescriptor, wire: &[u8], left: &mut usize, depth: u32) -> Option<()> {
    let Some(depth) = depth.checked_sub(1) else {
        return Some(());
    };
    let mut rest = wire;
    while !rest.is_empty() {
        let Ok((field, part)) = next(&mut rest) else {
            return Some(());
        };
        take(left)?;
        let inner = of.get_field(field).and_then(|known| message(known.kind()));
        if let (Some(inner), Some(part)) = (inner, part) {
            count_inner(&inner, part, left, depth)?;
        }
    }
    Some(())
}

fn take(left: &mut usize) -> Option<()> {
    *left = left.checked_sub(1)?;
    Some(())
}

fn message(kind: Kind) -> Option<MessageDescriptor> {
    match kind {
        Kind::Message(message) => Some(message),
        _ => None,
    }
}

/// Takes a field off the wire: its number, and its bytes if it has a length.
fn next<'a>(rest: &mut &'a [u8]) -> Result<(u32, Option<&'a [u8]>), DecodeError> {
    let (field, wire_type) = decode_key(rest)?;
    if wire_type != WireType::LengthDelimited {
        skip_field(wire_type, field, rest, DecodeContext::default())?;
        return Ok((field, None));
    }
    let length = usize::try_from(decode_varint(rest)?).unwrap_or(usize::MAX);
    // The decoder says what is wrong with a message that is cut.
    let (part, after) = rest.split_at_checked(length).unwrap_or((*rest, &[]));
    *rest = after;
    Ok((field, Some(part)))
}

#[cfg(test)]
pub(crate) mod tests {
    use bytes::{BufMut as _, BytesMut};
    use http_body_util::Full;
    use prost_types::{FieldMask, ListValue, Struct, Value, value};

    use super::*;
    use crate::proto::{
        identity::v1::{CheckCurpRequest, CheckCurpResponse, ScrubKenyaIdRequest},
        person::v1::{BiometricData, CreatePersonRequest, Person},
    };

    /// Decodes a request with an image of so many bytes.
    pub async fn decode(image: usize) -> Result<(), Status> {
        let biometric_data = BiometricData {
            face_image: Some(vec![0; image].into()),
            ..BiometricData::default()
        };
        let person = Person {
            biometric_data: Some(biometric_data),
            ..Person::default()
        };
        let request = CreatePersonRequest {
            person: Some(person),
            ..CreatePersonRequest::default()
        };
        let mut frame = BytesMut::new();
        frame.put_u8(0);
        frame.put_u32(u32::try_from(request.encoded_len()).unwrap());
        frame.put_slice(&request.encode_to_vec());
        let decoder = CountingCodec::<Person, CreatePersonRequest>::default().decoder();
        let body = Full::new(frame.freeze());
        let mut messages = tonic::Streaming::new_request(decoder, body, None, None);
        messages.message().await.map(|_request| ())
    }

    fn counted<M: Message + Name>(message: &M) -> Result<(), String> {
        count(&request::<M>().unwrap(), &message.encode_to_vec())
    }

    fn mask(paths: usize) -> Option<FieldMask> {
        let paths = vec![String::new(); paths];
        Some(FieldMask { paths })
    }

    fn nested(values: usize) -> Option<Struct> {
        let list = Value {
            kind: Some(value::Kind::ListValue(ListValue {
                values: vec![Value::default(); values],
            })),
        };
        let fields = [("list".to_owned(), list)].into();
        Some(Struct { fields })
    }

    #[test]
    fn many_elements_are_counted_however_deep_and_their_field_is_named() {
        let curp = |paths| CheckCurpRequest {
            read_mask: mask(paths),
            ..CheckCurpRequest::default()
        };
        assert_eq!(counted(&curp(500)), Ok(()));
        assert_eq!(counted(&curp(40_000)), Err("read_mask".to_owned()));
        let kenya = |values| ScrubKenyaIdRequest {
            metadata: nested(values),
            ..ScrubKenyaIdRequest::default()
        };
        assert_eq!(counted(&kenya(500)), Ok(()));
        assert_eq!(counted(&kenya(40_000)), Err("metadata".to_owned()));
    }

    #[test]
    fn large_bytes_are_one_element_whatever_is_in_them() {
        let image = CheckCurpRequest {
            read_mask: mask(50_000),
            ..CheckCurpRequest::default()
        };
        let person = Person {
            biometric_data: Some(BiometricData {
                face_image: Some(image.encode_to_vec().into()),
                ..BiometricData::default()
            }),
            ..Person::default()
        };
        let request = CreatePersonRequest {
            person: Some(person),
            ..CreatePersonRequest::default()
        };
        assert_eq!(counted(&request), Ok(()));
    }

    #[test]
    fn fields_that_nobody_knows_count_too_and_broken_ones_are_left_to_the_decoder() {
        let curp = request::<CheckCurpRequest>().unwrap();
        // Field 1000, a varint.
        let unknown = [0xc0, 0x3e, 1].repeat(2000);
        assert_eq!(count(&curp, &unknown), Err("request".to_owned()));
        for broken in [&[0xff; 20][..], &[0x0a, 0xff], &[0x0b], &[0x0a]] {
            assert_eq!(count(&curp, broken), Ok(()), "{broken:?}");
        }
    }

    #[test]
    fn only_requests_are_counted() {
        assert!(request::<CheckCurpRequest>().is_some());
        assert!(request::<CheckCurpResponse>().is_none());
    }
}
