//! What tests tell a gateway of every provider. A new one is asked for by the compiler.

use identity_gateway::domain::verification::Provider;

pub const VERIFIK_TOKEN: &str = "verifik-token-for-tests";
pub const YOUVERIFY_TOKEN: &str = "youverify-token-for-tests";
pub const API_ID: &str = "accuauth-id-for-tests";
pub const API_SECRET: &str = "accuauth-secret-for-tests";

/// The keys of a provider's credential, and what they are set to.
pub const fn credentials(provider: Provider) -> &'static [(&'static str, &'static str)] {
    match provider {
        Provider::Verifik => &[("TOKEN", VERIFIK_TOKEN)],
        Provider::Youverify => &[("TOKEN", YOUVERIFY_TOKEN)],
        Provider::Accuauth => &[("API_ID", API_ID), ("API_SECRET", API_SECRET)],
    }
}

/// Every credential: they must appear nowhere but in the provider's request.
pub fn secrets() -> impl Iterator<Item = &'static str> {
    let all = Provider::ALL.into_iter().flat_map(credentials);
    all.map(|(_, secret)| *secret)
}

/// The variable of a provider's key.
pub fn variable(provider: Provider, key: &str) -> String {
    format!(
        "IDGW_PROVIDERS__{}__{key}",
        provider.as_str().to_uppercase()
    )
}

/// A key of every provider, set to the same.
pub fn every(key: &str, value: &str) -> impl Iterator<Item = (String, String)> {
    Provider::ALL
        .map(|provider| (variable(provider, key), value.to_owned()))
        .into_iter()
}

/// Every provider's credential, and one address for all of them.
pub fn variables(base_url: &str) -> Vec<(String, String)> {
    let credentials = Provider::ALL.into_iter().flat_map(|provider| {
        let keys = credentials(provider).iter();
        keys.map(move |(key, value)| (variable(provider, key), (*value).to_owned()))
    });
    credentials.chain(every("BASE_URL", base_url)).collect()
}

/// The provider of a name.
pub fn named(name: &str) -> Provider {
    let mut all = Provider::ALL.into_iter();
    let found = all.find(|provider| provider.as_str() == name);
    found.unwrap_or_else(|| panic!("{name} is no provider"))
}

/// One of many CURPs that are well formed, check digit included.
pub fn curp_of(number: usize) -> String {
    const DIGITS: &str = "0123456789ABCDEFGHIJKLMN\u{d1}OPQRSTUVWXYZ";
    let letters = ["B", "C", "D", "F", "G", "H", "J", "K", "L", "M"];
    let letter = |place: usize| letters[number / 10_usize.pow(u32::try_from(place).unwrap()) % 10];
    let body = format!("AAPR630321HDF{}{}{}0", letter(0), letter(1), letter(2));
    let sum: usize = body
        .chars()
        .enumerate()
        .map(|(at, letter)| DIGITS.chars().position(|known| known == letter).unwrap() * (18 - at))
        .sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}
