//! What a lookup's reply shows of data classes: a mask that names a field which its caller may not see is refused before
//! anybody is asked, and what is left out of a reply is named in `verification.withheld`.

use prost::Name;
use prost_reflect::MessageDescriptor;

use super::mask::{ReadMask, descriptor};
use crate::{
    access::classes::{self, Classed},
    domain::{
        failure::{Failure, Kind},
        lookup::Document,
        refusal::{Hidden, MOST_FIELDS, Refusal},
    },
    proto::{field_paths, fields::Fields, gateway::v1::DataClass},
};

/// What is known of a reply's data classes.
#[derive(Debug)]
pub struct Shown {
    reply: Option<MessageDescriptor>,
    classed: Box<[Classed]>,
}

impl Shown {
    /// Of a reply of type `M`.
    pub fn of<M: Name>() -> Self {
        let reply = descriptor::<M>();
        let classed = reply.as_ref().map(classes::classed).unwrap_or_default();
        let classed = classed.into();
        Self { reply, classed }
    }

    /// Lets a mask pass that names nothing which its caller may not see.
    ///
    /// # Errors
    ///
    /// [`Kind::FieldNotAllowed`] with the first of these fields, and what each needs.
    pub fn allows(&self, mask: &ReadMask, visible: &Fields) -> Result<(), Failure> {
        let mut beyond = mask.beyond(visible);
        let Some(reply) = self.reply.as_ref().filter(|_| !beyond.is_empty()) else {
            return Ok(());
        };
        beyond.truncate(MOST_FIELDS);
        let hidden = beyond.iter().map(|numbers| Hidden {
            path: field_paths::path(reply, numbers),
            class: classes::needed(&self.classed, numbers).map(classes::word),
        });
        Err(Failure {
            refusal: Some(Box::new(Refusal::Fields(hidden.collect()))),
            ..Failure::new(Kind::FieldNotAllowed)
        })
    }

    /// The classes of fields that the mask wants and the caller does not see. A document that nobody asked for is not
    /// withheld.
    pub fn withheld(&self, mask: &ReadMask, visible: &Fields, document: Document) -> Vec<i32> {
        let mut classes = Vec::new();
        if *visible == Fields::All {
            return classes;
        }
        for Classed { path, class } in &self.classed {
            let is_asked = document == Document::Include || *class != DataClass::Image;
            let class = i32::from(*class);
            if is_asked && mask.wants(path) && !visible.has_whole(path) && !classes.contains(&class)
            {
                classes.push(class);
            }
        }
        classes
    }
}

#[cfg(test)]
mod tests {
    use prost_types::FieldMask;

    use super::*;
    use crate::proto::identity::v1::{CheckCurpResponse, ScrubKenyaIdResponse};

    fn mask<M: Name>(paths: &[&str]) -> ReadMask {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        ReadMask::of::<M>(Some(&FieldMask { paths })).unwrap()
    }

    fn seen<M: Name>(granted: &[DataClass]) -> Fields {
        classes::visible(&descriptor::<M>().unwrap(), &Fields::All, granted)
    }

    type Kenya = ScrubKenyaIdResponse;

    #[test]
    fn a_mask_that_names_what_its_caller_may_not_see_is_refused_with_what_that_needs() {
        let shown = Shown::of::<Kenya>();
        let contacts = seen::<Kenya>(&[DataClass::Contact]);
        for paths in [
            &[][..],
            &["*"],
            &["record"],
            &["record.email", "record.main_address.town"],
        ] {
            assert_eq!(
                shown.allows(&mask::<Kenya>(paths), &contacts),
                Ok(()),
                "{paths:?}"
            );
        }
        let asked = ["record.givenName", "record.inquiries", "record.envelope"];
        let refused = shown.allows(&mask::<Kenya>(&asked), &contacts).unwrap_err();
        assert_eq!(refused.kind, Kind::FieldNotAllowed);
        let hidden = |path: &str, class| Hidden {
            path: path.to_owned(),
            class,
        };
        let expected = vec![
            hidden("record.inquiries", Some("bureau")),
            hidden("record.envelope", Some("envelope")),
        ];
        assert_eq!(refused.refusal, Some(Box::new(Refusal::Fields(expected))));
    }

    #[test]
    fn a_field_of_no_class_is_refused_where_the_rule_leaves_it_out() {
        let shown = Shown::of::<CheckCurpResponse>();
        let mut narrow = Fields::none();
        let reply = descriptor::<CheckCurpResponse>().unwrap();
        narrow.add(&reply, "record.status", crate::proto::fields::Lists::Open);
        let asked = mask::<CheckCurpResponse>(&["record.status", "record.given_name"]);
        let refused = shown.allows(&asked, &narrow).unwrap_err().refusal;
        let Some(Refusal::Fields(hidden)) = refused.as_deref() else {
            panic!("{refused:?}")
        };
        assert_eq!(hidden.len(), 1);
        assert!(
            hidden[0]
                .needs()
                .starts_with("record.given_name is not among the fields")
        );
    }

    #[test]
    fn the_classes_that_were_left_out_are_named_once_each() {
        let shown = Shown::of::<Kenya>();
        let (contact, bureau) = (DataClass::Contact, DataClass::Bureau);
        let envelope = DataClass::Envelope;
        let all = |granted: &[DataClass], paths: &[&str]| {
            let mask = mask::<Kenya>(paths);
            shown.withheld(&mask, &seen::<Kenya>(granted), Document::Omit)
        };
        let numbers =
            |classes: &[DataClass]| classes.iter().map(|c| i32::from(*c)).collect::<Vec<_>>();
        assert_eq!(all(&[], &[]), numbers(&[contact, bureau, envelope]));
        assert_eq!(all(&[contact], &["record"]), numbers(&[bureau, envelope]));
        assert_eq!(all(&[contact], &["record.given_name"]), numbers(&[]));
        assert_eq!(all(&classes::ALL, &[]), numbers(&[]));
        // The document is withheld from those who asked for it.
        let curp = Shown::of::<CheckCurpResponse>();
        let everything = mask::<CheckCurpResponse>(&[]);
        let plain = seen::<CheckCurpResponse>(&[]);
        let withheld = |document| curp.withheld(&everything, &plain, document);
        assert_eq!(withheld(Document::Omit), numbers(&[]));
        assert_eq!(withheld(Document::Include), numbers(&[DataClass::Image]));
    }
}
