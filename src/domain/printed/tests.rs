use jiff::civil::date as day;
use proptest::prelude::*;

use super::*;

#[test]
fn a_date_is_read_in_every_form_in_which_it_is_printed() {
    for text in [
        "18/04/1991",
        "18/4/1991",
        "18-04-1991",
        "18.04.1991",
        "18 04 1991",
        "1991-04-18",
        "1991/04/18",
        "1991.04.18",
        "1991-4-18",
        "19910418",
        "18041991",
        "19910418000000",
        "19910418T000000Z",
        "19910418 000000",
        "18/04/1991 00:00",
        "18/04/1991 00:00:00",
        "18/04/1991 00:00:00.000",
        "18/04/1991 12:00:00 AM",
        "18/04/1991 12:00:00 a. m.",
        "18/04/1991 12:00:00 a.m.",
        "18/04/1991 12:00:00 A.M.",
        "18/04/1991 12:00:00\u{a0}a.\u{a0}m.",
        "18/04/1991, 12:00:00 a. m.",
        "18/04/1991 11:59 p. m.",
        "18/4/1991 12:00:00 AM",
        "18-04-1991 10:30 hrs",
        "18/04/1991 10.30",
        "18.04.1991 - 10:30 h",
        "1991-04-18 00:00:00.0",
        "1991-04-18T00:00:00",
        "1991-04-18T00:00:00Z",
        "1991-04-18T00:00:00.000Z",
        "1991-04-18T00:00:00.0000000",
        "1991-04-18T00:00:00-06:00",
        "1991-04-18T00:00:00.000+0300",
        "1991-04-18T00:00:00+03",
        "1991-04-18 00:00:00 +0300",
        "1991-04-18 00:00:00 UTC",
        "1991-04-18Z",
        "1991-04-18-06:00",
        "1991/04/18 00:00:00",
        "18 April 1991",
        "18 Apr 1991",
        "18 Apr. 1991",
        "18-Apr-1991",
        "18-APR-1991",
        "18/Apr/1991",
        "18APR1991",
        "18ABR1991",
        "18-abr-1991",
        "18-abr.-1991",
        "18 ABR. 1991",
        "18 de abril de 1991",
        "18 DE ABRIL DE 1991",
        "18 de Abril del 1991",
        "18 de abril del año 1991",
        "18 de abril, 1991",
        "18 abril 1991",
        "jueves, 18 de abril de 1991",
        "JUEVES 18 DE ABRIL DE 1991",
        "18th April 1991",
        "18th of April, 1991",
        "18 April, 1991",
        "April 18, 1991",
        "April 18 1991",
        "Apr 18, 1991",
        "Apr. 18, 1991",
        "April 18th, 1991",
        "Apr-18-1991",
        "abril 18, 1991",
        "abril 18 de 1991",
        "Thursday, April 18, 1991",
        "Thursday, April 18, 1991 12:00 AM",
        "April 18, 1991 at 3:22 PM",
        "Apr 18 1991 12:00AM",
        "Apr 18, 1991, 12:00:00 AM",
        "18-APR-1991 00:00:00",
        "18 de abril de 1991 a las 10:30",
        "18 de abril de 1991, 10:30 a. m.",
        "1991-Apr-18",
        "1991 April 18",
        "18-IV-1991",
        "18/IV/1991",
        "Thu Apr 18 1991",
        "Thu Apr 18 1991 00:00:00 GMT-0500 (hora de Perú)",
        "Thu, 18 Apr 1991 00:00:00 GMT",
        "Thu Apr 18 00:00:00 EAT 1991",
        "Thu Apr 18 00:00:00 GMT+03:00 1991",
        "Thu Apr 18 00:00:00 1991",
        "jue 18 abr 1991",
        "jue., 18 abr. 1991",
    ] {
        let found = read(text).map(|printed| printed.date);
        assert_eq!(found, Some(day(1991, 4, 18)), "{text}");
    }
    for (text, date) in [
        ("1º de enero de 1990", day(1990, 1, 1)),
        ("1° de enero de 1990", day(1990, 1, 1)),
        ("1ro. de enero de 1990", day(1990, 1, 1)),
        ("primero de enero de 1990", day(1990, 1, 1)),
        ("1st January 1990", day(1990, 1, 1)),
        ("January 1st, 1990", day(1990, 1, 1)),
        ("04/07/1985 12:00:00 a. m.", day(1985, 7, 4)),
        ("04/07/1985 12:00:00 AM", day(1985, 7, 4)),
        ("4/7/1985 12:00:00 a. m.", day(1985, 7, 4)),
        ("4/7/1985", day(1985, 7, 4)),
        ("7/7/1985 12:00:00 AM", day(1985, 7, 7)),
        ("mar 18, 1991", day(1991, 3, 18)),
        ("MAR 18 1991", day(1991, 3, 18)),
        ("Mar 18 00:00:00 EAT 1991", day(1991, 3, 18)),
        ("mar 19 marzo 1991", day(1991, 3, 19)),
        ("mar. 19 de marzo de 1991", day(1991, 3, 19)),
        ("Tue Mar 19 1991 00:00:00 GMT+0000", day(1991, 3, 19)),
        ("9 SET 1991", day(1991, 9, 9)),
        ("9 de setiembre de 1991", day(1991, 9, 9)),
    ] {
        let found = read(text).map(|printed| printed.date);
        assert_eq!(found, Some(date), "{text}");
    }
}

#[test]
fn what_is_no_date_or_could_be_two_is_none() {
    for text in [
        "",
        " ",
        "04/18/1991",
        "04/18/1991 12:00:00 AM",
        "4/18/1991 12:00:00 AM",
        "4/7/1991 12:00:00 AM",
        "10/4/1991 12:00 PM",
        "04-18-1991",
        "1991-18-04",
        "18/04/91",
        "18-APR-91",
        "18 de abril",
        "abril de 1991",
        "1991",
        "04/1991",
        "18/04-1991",
        "31/02/1990",
        "00/00/0000",
        "01/01/1990 - 31/12/2000",
        "01/01/1990 31/12/2000",
        "01/01/1990 a 31/12/2000",
        "18/04/1991 aprox.",
        "18/04/1991 25:00",
        "18/04/1991 10:61",
        "18/04/1991 10:3",
        "18 de abrll de 1991",
        "INDEFINIDO",
        "El documento no tiene fecha de caducidad",
        "not_available",
        "1991041",
        "199104181",
        "20231332",
        "1 2 3",
        "/04/1991",
        "-18-04-1991",
        "１８/04/1991",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
    assert_eq!(read(&format!("18/04/1991{}", " ".repeat(1000))), None);
}

#[test]
fn the_time_and_its_zone_are_read_where_they_are_known() {
    let at = |hour, minute| Some(Time::constant(hour, minute, 0, 0));
    for (text, time, offset) in [
        ("18/04/1991", None, None),
        ("18/04/1991 12:00 AM", at(0, 0), None),
        ("18/04/1991 12:30 p. m.", at(12, 30), None),
        ("18/04/1991 1:30 PM", at(13, 30), None),
        ("18/04/1991 13:30 PM", at(13, 30), None),
        ("1991-04-18T21:00:00Z", at(21, 0), Some(0)),
        ("1991-04-18T21:00:00.000+0300", at(21, 0), Some(3 * 3600)),
        (
            "1991-04-18 21:00:00 -05:30",
            at(21, 0),
            Some(-5 * 3600 - 1800),
        ),
        ("Thu Apr 18 21:00:00 EAT 1991", at(21, 0), Some(3 * 3600)),
        ("Thu Apr 18 21:00:00 CST 1991", at(21, 0), None),
        ("19910418210000Z", at(21, 0), Some(0)),
    ] {
        let found = read(text).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(found.time, time, "{text}");
        let seconds = found.offset.map(Offset::seconds);
        assert_eq!(seconds, offset, "{text}");
    }
}

fn some_date() -> impl Strategy<Value = Date> {
    (1800_i16..2200, 1_i8..=12, 1_i8..=31)
        .prop_filter_map("a date that exists", |(y, m, d)| Date::new(y, m, d).ok())
}

proptest! {
    #[test]
    fn a_date_comes_back_out_of_every_form(
        date in some_date(),
        name in any::<prop::sample::Index>(),
        form in 0..14,
        time in prop::sample::select(vec!["", " 00:00:00", " 12:00:00 a. m.", "T10:30:00Z", " 23:59", ", 1:15 PM"]),
        upper in any::<bool>(),
    ) {
        let (y, m, d) = (date.year(), date.month(), date.day());
        let names = MONTHS[usize::try_from(m).unwrap() - 1];
        let word = names[name.index(names.len())];
        let roman = word.chars().all(|letter| "ivx".contains(letter));
        // A Roman number is no word in a sentence, nor does it touch the day.
        let long = if roman { names[0] } else { word };
        let printed = match form {
            0 => format!("{d:02}/{m:02}/{y}"),
            1 => format!("{d:02}-{m:02}-{y}"),
            2 => format!("{d:02}.{m:02}.{y}"),
            3 => format!("{y}-{m:02}-{d:02}"),
            4 => format!("{y}/{m:02}/{d:02}"),
            5 => format!("{y}{m:02}{d:02}"),
            6 => format!("{d} de {long} de {y}"),
            7 => format!("{d:02}-{word}-{y}"),
            8 => format!("{long} {d}, {y}"),
            9 => format!("{d} {long} {y}"),
            10 => format!("{d:02}{long}{y}"),
            11 => format!("{y}-{word}-{d:02}"),
            12 => format!("{d:02}/{word}/{y}"),
            _ => format!("{d:02}{m:02}{y}"),
        };
        let text = format!("{printed}{time}");
        let text = if upper { text.to_uppercase() } else { text };
        let found = read(&text).map(|printed| printed.date);
        prop_assert_eq!(found, Some(date), "{}", text);
    }

    #[test]
    fn any_text_is_read(text in "[0-9a-zA-Z:/.,+() -]{0,40}") {
        let _ = read(&text);
    }
}
