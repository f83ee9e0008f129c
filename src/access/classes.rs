//! The data classes of fields, which stand beside them in the contract (`idgw.gateway.v1.data_class`).
//!
//! A field with a class is seen only by callers to whom the class, or the field by its path, is
//! granted. A field without one is seen by everybody who may call the RPC.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::proto::fields::Fields;
use crate::{proto, proto::gateway::v1::DataClass};

const EXTENSION: &str = "idgw.gateway.v1.data_class";

/// The word for a class in the policy file.
#[must_use]
pub const fn word(class: DataClass) -> &'static str {
    match class {
        DataClass::Unspecified => "",
        DataClass::Contact => "contacts",
        DataClass::Bureau => "bureau",
        DataClass::Image => "images",
        DataClass::Envelope => "envelope",
    }
}

/// Every class.
pub const ALL: [DataClass; 4] = [
    DataClass::Contact,
    DataClass::Bureau,
    DataClass::Image,
    DataClass::Envelope,
];

/// The class with this word.
#[must_use]
pub fn named(text: &str) -> Option<DataClass> {
    ALL.into_iter().find(|class| word(*class) == text)
}

/// The class of a field.
#[must_use]
pub fn of(field: &FieldDescriptor) -> DataClass {
    let pool = proto::descriptors();
    let options = field.options();
    pool.get_extension_by_name(EXTENSION)
        .filter(|extension| options.has_extension(extension))
        .and_then(|extension| options.get_extension(&extension).as_enum_number())
        .and_then(|number| DataClass::try_from(number).ok())
        .unwrap_or(DataClass::Unspecified)
}

/// What one may see of a message: of the `asked` fields those without a class, those of a `granted`
/// class, and those that `asked` names themselves rather than by a message around them.
#[must_use]
pub fn visible(message: &MessageDescriptor, asked: &Fields, granted: &[DataClass]) -> Fields {
    let fields = message.fields().filter_map(|field| {
        let (named, asked) = match asked {
            Fields::All => (false, &Fields::All),
            Fields::Some(some) => (true, some.get(&field.number())?),
        };
        let class = of(&field);
        let is_open = class == DataClass::Unspecified || granted.contains(&class);
        let seen = match field.kind() {
            _ if !is_open && !named => return None,
            // A field within has a class of its own, or the one of the message around it.
            Kind::Message(inner) if is_ours(&inner) => {
                let granted = if is_open { granted } else { &ALL };
                visible(&inner, asked, granted)
            }
            _ => Fields::All,
        };
        Some((field.number(), seen))
    });
    let fields: std::collections::BTreeMap<_, _> = fields.collect();
    let is_whole =
        fields.len() == message.fields().len() && fields.values().all(|seen| *seen == Fields::All);
    match is_whole {
        true => Fields::All,
        false => Fields::Some(fields),
    }
}

/// A field with a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classed {
    /// Where it is, by field numbers.
    pub path: Box<[u32]>,
    /// Its class.
    pub class: DataClass,
}

/// Every field of a message that has a class, those within such a field after it.
#[must_use]
pub fn classed(message: &MessageDescriptor) -> Vec<Classed> {
    fn add(message: &MessageDescriptor, before: &[u32], found: &mut Vec<Classed>) {
        for field in message.fields() {
            let path = [before, &[field.number()]].concat();
            let class = of(&field);
            if class != DataClass::Unspecified {
                let path = path.clone().into();
                found.push(Classed { path, class });
            }
            if let Kind::Message(inner) = field.kind()
                && is_ours(&inner)
            {
                add(&inner, &path, found);
            }
        }
    }
    let mut found = Vec::new();
    add(message, &[], &mut found);
    found
}

/// The class that it takes to see the field at these numbers: its own, else that of the message around it, else that
/// of a field within it.
#[must_use]
pub fn needed(classed: &[Classed], numbers: &[u32]) -> Option<DataClass> {
    let around = |one: &&Classed| numbers.starts_with(&one.path);
    let within = |one: &&Classed| one.path.starts_with(numbers);
    let nearest = classed.iter().rfind(around);
    let nearest = nearest.or_else(|| classed.iter().find(within));
    nearest.map(|one| one.class)
}

/// Google's own messages have no classes, and some of them hold themselves.
fn is_ours(message: &MessageDescriptor) -> bool {
    !message.package_name().starts_with("google.")
}
