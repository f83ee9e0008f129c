//! Read masks: a caller receives only the fields it names.
//!
//! A path goes through singular messages by field names, as `google.protobuf.FieldMask` defines, so
//! every field of every reply can be named, also those that a later version adds. What a caller may not
//! see ([`Call::visible`](crate::call::Call::visible)) is taken out of every
//! reply besides: a mask cannot bring it back.

use prost::Name;
use prost_reflect::MessageDescriptor;
use prost_types::FieldMask;

use super::mask_path;
use crate::proto::{
    self, field_paths,
    fields::{Fields, Filtered, Lists},
};

const RULE: &str = "must name fields of the response only";

/// The fields that a caller wants of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadMask(Fields);

impl ReadMask {
    /// Reads the mask of a reply of type `M`. An absent or empty mask, and `*`, mean everything.
    ///
    /// # Errors
    ///
    /// The rule that a path breaks.
    pub fn of<M: Name>(mask: Option<&FieldMask>) -> Result<Self, String> {
        let paths = mask.map(|mask| mask.paths.as_slice()).unwrap_or_default();
        if paths.is_empty() || paths == ["*"] {
            return Ok(Self(Fields::All));
        }
        let reply = descriptor::<M>().ok_or("cannot be read")?;
        let mut wanted = Fields::none();
        let mut unknown = Vec::new();
        for (place, path) in paths.iter().enumerate() {
            if wanted.add(&reply, path, Lists::Closed).is_none() {
                unknown.push((place, path.as_str()));
            }
        }
        match unknown.is_empty() {
            true => Ok(Self(wanted)),
            false => {
                let known = field_paths::paths(&reply);
                Err(mask_path::unknown(RULE, unknown.into_iter(), &known))
            }
        }
    }

    /// Whether the field at these numbers, or a part of it, is wanted.
    #[must_use]
    pub fn wants(&self, numbers: &[u32]) -> bool {
        self.0.has(numbers)
    }

    /// The paths that the mask names and of which a caller that sees `visible` may see nothing, by field numbers.
    #[must_use]
    pub fn beyond(&self, visible: &Fields) -> Vec<Vec<u32>> {
        self.0.beyond(visible)
    }

    /// The reply with the wanted fields only.
    #[must_use]
    pub fn apply<M: Filtered>(&self, reply: M) -> M {
        self.0.of(reply)
    }
}

/// What is known of the reply's type.
pub fn descriptor<M: Name>() -> Option<MessageDescriptor> {
    proto::descriptors().get_message_by_name(&M::full_name())
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::proto::identity::v1::{
        CheckCurpResponse, CurpRecord, ScrubKenyaIdResponse, Verification,
        VerifyPeForeignerIdResponse,
    };

    fn mask(paths: &[&str]) -> FieldMask {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        FieldMask { paths }
    }

    /// As JSON and grpcurl write a path.
    fn lower_camel_case(path: &str) -> String {
        let mut letters = path.chars();
        let mut camel = String::new();
        while let Some(letter) = letters.next() {
            match letter {
                '_' => camel.extend(letters.next().map(|next| next.to_ascii_uppercase())),
                letter => camel.push(letter),
            }
        }
        camel
    }

    fn reply() -> CheckCurpResponse {
        CheckCurpResponse {
            verification: Some(Verification {
                id: "id".to_owned(),
                provider: "accuauth".to_owned(),
                ..Verification::default()
            }),
            record: Some(Box::new(CurpRecord {
                curp: Some("curp".to_owned()),
                given_name: Some("name".to_owned()),
                ..CurpRecord::default()
            })),
        }
    }

    #[test]
    fn only_the_named_fields_are_left() {
        let read = |paths: &[&str]| {
            let mask = ReadMask::of::<CheckCurpResponse>(Some(&mask(paths))).unwrap();
            mask.apply(reply())
        };
        assert_eq!(read(&[]), reply());
        assert_eq!(read(&["*"]), reply());
        assert_eq!(read(&["verification", "record"]), reply());
        assert_eq!(read(&["record", "record.curp", "verification"]), reply());
        assert_eq!(read(&["record.curp", "record", "verification"]), reply());
        let masked = read(&["record.curp", "verification.provider"]);
        let verification = masked.verification.unwrap();
        assert_eq!(
            (verification.id.as_str(), verification.provider.as_str()),
            ("", "accuauth")
        );
        let record = masked.record.unwrap();
        assert_eq!(
            (record.curp.as_deref(), record.given_name),
            (Some("curp"), None)
        );
        assert_eq!(read(&["record.document"]).verification, None);
    }

    #[test]
    fn an_unknown_path_is_refused() {
        for path in [
            "",
            ".",
            "nothing",
            "record.nothing",
            "record.curp.x",
            "record.",
            "Record",
        ] {
            let refused = ReadMask::of::<CheckCurpResponse>(Some(&mask(&["record", path])));
            assert!(refused.is_err(), "{path}");
        }
        let inside_a_list = mask(&["record.name_parts.0"]);
        assert!(ReadMask::of::<VerifyPeForeignerIdResponse>(Some(&inside_a_list)).is_err());
    }

    #[test]
    fn every_path_of_every_reply_can_be_named() {
        fn all_of<M: Message + Name + Default>() -> usize {
            let found = field_paths::paths(&descriptor::<M>().unwrap());
            for path in &found {
                let read = ReadMask::of::<M>(Some(&mask(&[path])));
                assert!(read.is_ok(), "{path}");
                let json = lower_camel_case(path);
                assert_eq!(ReadMask::of::<M>(Some(&mask(&[&json]))), read, "{json}");
            }
            found.len()
        }
        assert!(all_of::<VerifyPeForeignerIdResponse>() > 25);
        assert!(all_of::<ScrubKenyaIdResponse>() > 60);
        assert!(all_of::<CheckCurpResponse>() > 40);
    }

    #[test]
    fn the_mask_says_whether_the_document_is_wanted() {
        let wants = |paths: &[&str]| {
            let mask = ReadMask::of::<CheckCurpResponse>(Some(&mask(paths))).unwrap();
            mask.wants(&[2, 20])
        };
        assert!(wants(&[]) && wants(&["record"]) && wants(&["record.document"]));
        assert!(!wants(&["record.curp"]) && !wants(&["verification"]));
    }
}
