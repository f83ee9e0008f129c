//! Who is asked about: a fictional person for each number, with identifiers that no other number has.
//!
//! They pass every check of the gateway, and no provider's sandbox knows them: a lookup finds nobody,
//! which is an answer, and charged like one.

use identity_gateway::domain::verification::Provider;

/// What is asked of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `VerifyPeForeignerId`, at Verifik.
    Foreigner,
    /// `VerifyPeDni`, at Verifik.
    Dni,
    /// `ScrubKenyaId`, at YouVerify.
    Kenya,
    /// `CheckCurp`, at AccuAuth.
    Curp,
    /// `CreatePerson`, at Verifik, three times with one `request_id`.
    Create,
}

impl Kind {
    /// What call number `n` of the chaos run asks.
    pub const fn of(n: u64) -> Self {
        match n % 8 {
            0 | 3 => Self::Foreigner,
            1 | 4 => Self::Kenya,
            7 => Self::Create,
            _ => Self::Curp,
        }
    }

    /// Who is asked for it.
    pub const fn provider(self) -> Provider {
        match self {
            Self::Foreigner | Self::Dni | Self::Create => Provider::Verifik,
            Self::Kenya => Provider::Youverify,
            Self::Curp => Provider::Accuauth,
        }
    }

    /// The identifier of call number `n`.
    pub fn identifier(self, n: u64) -> String {
        match self {
            Self::Foreigner => format!("CE{n:09}"),
            Self::Dni => format!("{n:08}"),
            Self::Kenya => format!("KX{n:07}"),
            Self::Curp => curp(n),
            Self::Create => format!("DNI{n:09}"),
        }
    }
}

/// A CURP of the twentieth century with the right check digit. The number is in its birth date (28
/// days, 12 months, 100 years) and in its three consonants.
fn curp(n: u64) -> String {
    const CONSONANTS: [char; 21] = [
        'B', 'C', 'D', 'F', 'G', 'H', 'J', 'K', 'L', 'M', 'N', 'P', 'Q', 'R', 'S', 'T', 'V', 'W',
        'X', 'Y', 'Z',
    ];
    let (day, rest) = (n % 28 + 1, n / 28);
    let (month, rest) = (rest % 12 + 1, rest / 12);
    let (year, rest) = (rest % 100, rest / 100);
    let consonants = (0..3_u32).filter_map(|place| {
        let digit = usize::try_from(rest / 21_u64.pow(place) % 21).ok()?;
        CONSONANTS.get(digit)
    });
    let consonants: String = consonants.collect();
    let body = format!("LOXA{year:02}{month:02}{day:02}HDF{consonants}0");
    let check = check_digit(&body);
    format!("{body}{check}")
}

/// The alphabet is `0-9 A-N Ñ O-Z`; the characters weigh 18, 17, … 2.
fn check_digit(body: &str) -> u32 {
    let value = |character: char| match character.to_digit(36).unwrap_or_default() {
        late @ 24.. => late + 1,
        early => early,
    };
    let weighed = body.chars().zip((2..=18_u32).rev());
    let sum: u32 = weighed.map(|(c, weight)| value(c) * weight).sum();
    (10 - sum % 10) % 10
}
