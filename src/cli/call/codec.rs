//! A tonic codec whose messages are known only at run time.

use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

/// Sends any [`DynamicMessage`] and reads answers of one type.
#[derive(Debug, Clone)]
pub(crate) struct DynamicCodec {
    answer: MessageDescriptor,
}

impl DynamicCodec {
    /// A codec whose answers are of the type `answer`.
    pub(crate) const fn new(answer: MessageDescriptor) -> Self {
        Self { answer }
    }
}

impl Codec for DynamicCodec {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = DynamicEncoder;
    type Decoder = DynamicDecoder;

    fn encoder(&mut self) -> Self::Encoder {
        DynamicEncoder
    }

    fn decoder(&mut self) -> Self::Decoder {
        DynamicDecoder {
            answer: self.answer.clone(),
        }
    }
}

/// The sending half of [`DynamicCodec`].
#[derive(Debug)]
pub(crate) struct DynamicEncoder;

impl Encoder for DynamicEncoder {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: Self::Item, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buffer)
            .map_err(|_| Status::internal("the request does not fit its buffer"))
    }
}

/// The reading half of [`DynamicCodec`].
#[derive(Debug)]
pub(crate) struct DynamicDecoder {
    answer: MessageDescriptor,
}

impl Decoder for DynamicDecoder {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        DynamicMessage::decode(self.answer.clone(), buffer)
            .map(Some)
            .map_err(|_| {
                let answer = self.answer.full_name();
                Status::internal(format!("the answer is not a message of the type {answer}"))
            })
    }
}
