//! Values of the form `first,key=value,switch`, as in `-drive file=disk.img,format=raw,readonly`.
//!
//! Each such option declares its keys in a [`List`]; parsing, checking and help follow from that. A comma within a value is
//! written twice. A key without a value is a switch that is on. A key given twice counts as given the last time.

use super::suggest::nearest;
use super::{Stop, stop};
use std::fmt::Write as _;
use std::path::PathBuf;

/// What a key's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A file's name.
    File,
    /// `on` or `off`.
    Switch,
    /// A number from the first to the second, decimal, or hexadecimal after `0x`.
    Number(u64, u64),
    /// A number of bytes, with the suffix K, M, G or T; without one the unit is the given number of bytes.
    Size(u64),
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// A key that an option takes.
#[derive(Debug)]
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    pub help: &'static str,
}

/// Shorthand for tables.
pub const fn key(name: &'static str, kind: Kind, help: &'static str) -> Key {
    Key { name, kind, help }
}

/// The keys of an option.
#[derive(Debug)]
pub struct List {
    /// How messages name it, such as `-drive`.
    pub option: &'static str,
    /// The key whose name may be left out when it comes first.
    pub first: Option<&'static str>,
    pub keys: &'static [Key],
}

/// A checked value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Text(String),
    Switch(bool),
    Number(u64),
}

/// What was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values(Vec<(&'static str, Value)>);

impl Values {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0
            .iter()
            .rev()
            .find(|(n, _)| *n == name)
            .map(|(_, v)| v)
    }

    /// The text, word or file name given for `name`.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Value::Text(t)) => Some(t),
            _ => None,
        }
    }

    /// The file given for `name`.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    /// Whether the switch `name` was set, and how.
    pub fn switch(&self, name: &str) -> Option<bool> {
        match self.get(name) {
            Some(Value::Switch(s)) => Some(*s),
            _ => None,
        }
    }

    /// The number or size given for `name`.
    pub fn number(&self, name: &str) -> Option<u64> {
        match self.get(name) {
            Some(Value::Number(n)) => Some(*n),
            _ => None,
        }
    }
}

/// Splits at single commas; two are a comma of the text.
pub fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        if c == ',' && letters.next_if_eq(&',').is_none() {
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts
}

/// A number: decimal, or hexadecimal after `0x`.
pub fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
            u64::from_str_radix(hex, 16).ok()
        }
        Some(_) => None,
        None if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
        None => None,
    }
}

/// A number of bytes; a bare number counts `unit` bytes.
pub fn size(text: &str, unit: u64) -> Option<u64> {
    let (digits, unit) = match text.chars().last()? {
        'b' | 'B' if !text.starts_with("0x") => (&text[..text.len() - 1], 1),
        'k' | 'K' => (&text[..text.len() - 1], 1 << 10),
        'm' | 'M' => (&text[..text.len() - 1], 1 << 20),
        'g' | 'G' => (&text[..text.len() - 1], 1 << 30),
        't' | 'T' => (&text[..text.len() - 1], 1 << 40),
        _ => (text, unit),
    };
    number(digits)?.checked_mul(unit)
}

fn switch(text: &str) -> Option<bool> {
    match text {
        "on" | "yes" | "true" | "y" => Some(true),
        "off" | "no" | "false" | "n" => Some(false),
        _ => None,
    }
}

impl List {
    /// Checks `text` against the keys. Files named `help` or `?` aside, these words print the keys.
    pub fn parse(&self, text: &str) -> Result<Values, Stop> {
        let mut values = Values::default();
        for (i, part) in split(text).iter().enumerate() {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None if part == "help" || part == "?" => return Err(Stop::Help(self.help())),
                None => match self.first {
                    Some(first) if i == 0 => (first, Some(part.as_str())),
                    _ => (part.as_str(), None),
                },
            };
            if name.is_empty() {
                return stop(format!(
                    "{}: there is nothing between two commas in '{text}'; a comma within a value is written twice",
                    self.option
                ));
            }
            let Some(key) = self.keys.iter().find(|k| k.name == name) else {
                let meant = match nearest(name, self.keys.iter().map(|k| k.name)) {
                    Some(k) => format!("did you mean '{k}'?"),
                    None => format!("'{} help' lists what it takes.", self.option),
                };
                return stop(format!("{}: unknown key '{name}': {meant}", self.option));
            };
            values.0.push((key.name, self.value(key, value)?));
        }
        Ok(values)
    }

    fn value(&self, key: &Key, text: Option<&str>) -> Result<Value, Stop> {
        let Some(text) = text else {
            return match key.kind {
                Kind::Switch => Ok(Value::Switch(true)),
                _ => stop(format!(
                    "{}: '{}' needs a value: {}={}",
                    self.option,
                    key.name,
                    key.name,
                    key.kind.form()
                )),
            };
        };
        let value = match key.kind {
            Kind::Text => Some(Value::Text(text.to_owned())),
            Kind::File => (!text.is_empty()).then(|| Value::Text(text.to_owned())),
            Kind::Switch => switch(text).map(Value::Switch),
            Kind::Number(low, high) => number(text)
                .filter(|n| (low..=high).contains(n))
                .map(Value::Number),
            Kind::Size(unit) => size(text, unit).map(Value::Number),
            Kind::Choice(words) => words.contains(&text).then(|| Value::Text(text.to_owned())),
        };
        let Some(value) = value else {
            let meant = match key.kind {
                Kind::Choice(words) => match nearest(text, words.iter().copied()) {
                    Some(word) => format!("; did you mean '{word}'?"),
                    None => format!(": it can be {}", words.join(", ")),
                },
                _ => format!(": it has to be {}", key.kind.describe()),
            };
            return stop(format!(
                "{}: '{text}' is no value for '{}'{meant}",
                self.option, key.name
            ));
        };
        Ok(value)
    }

    /// The keys, one a line.
    pub fn help(&self) -> String {
        let mut out = format!("{} takes, separated by commas:\n", self.option);
        let forms: Vec<String> = self
            .keys
            .iter()
            .map(|k| format!("{}={}", k.name, k.kind.form()))
            .collect();
        let width = forms.iter().map(String::len).max().unwrap_or(0).min(34);
        for (key, form) in self.keys.iter().zip(&forms) {
            let first = if self.first == Some(key.name) {
                " ('NAME=' may be left out when first)".replace("NAME", key.name)
            } else {
                String::new()
            };
            let _ = writeln!(out, "  {form:width$}  {}{first}", key.help);
        }
        out
    }
}

impl Kind {
    fn form(self) -> String {
        match self {
            Kind::Text => "TEXT".into(),
            Kind::File => "FILE".into(),
            Kind::Switch => "on|off".into(),
            Kind::Number(..) => "N".into(),
            Kind::Size(_) => "SIZE".into(),
            Kind::Choice(words) => words.join("|"),
        }
    }

    fn describe(self) -> String {
        match self {
            Kind::Text => "text".into(),
            Kind::File => "the name of a file".into(),
            Kind::Switch => "on or off".into(),
            Kind::Number(low, high) if high == u64::MAX => format!("a number of at least {low}"),
            Kind::Number(low, high) => format!("a number from {low} to {high}"),
            Kind::Size(_) => "a size such as 512M or 2G".into(),
            Kind::Choice(words) => words.join(", "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    static DISK: List = List {
        option: "-disk",
        first: Some("file"),
        keys: &[
            key("file", Kind::File, "the image"),
            key("format", Kind::Choice(&["raw", "none"]), "its format"),
            key("readonly", Kind::Switch, "refuse writes"),
            key("size", Kind::Size(1), "its size"),
            key("index", Kind::Number(0, 7), "which"),
            key("id", Kind::Text, "its name"),
        ],
    };

    fn error(text: &str) -> String {
        match DISK.parse(text) {
            Err(Stop::Error(e)) => e,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn values() {
        let v = DISK
            .parse("file=a,,b=c.img,format=raw,readonly,size=2M,index=0x7,id=x")
            .unwrap();
        assert_eq!(v.text("file"), Some("a,b=c.img"));
        assert_eq!(v.text("format"), Some("raw"));
        assert_eq!(
            (v.switch("readonly"), v.number("size"), v.number("index")),
            (Some(true), Some(2 << 20), Some(7))
        );
        let v = DISK.parse("disk.img,readonly=off,readonly=on").unwrap();
        assert_eq!(
            (v.text("file"), v.switch("readonly")),
            (Some("disk.img"), Some(true))
        );
    }

    #[test]
    fn errors_say_what_was_meant() {
        assert_eq!(
            error("x,formt=raw"),
            "-disk: unknown key 'formt': did you mean 'format'?"
        );
        assert_eq!(
            error("x,zebra=1"),
            "-disk: unknown key 'zebra': '-disk help' lists what it takes."
        );
        assert_eq!(
            error("x,format=rwa"),
            "-disk: 'rwa' is no value for 'format'; did you mean 'raw'?"
        );
        assert_eq!(
            error("x,index=8"),
            "-disk: '8' is no value for 'index': it has to be a number from 0 to 7"
        );
        assert_eq!(error("x,index"), "-disk: 'index' needs a value: index=N");
        assert!(error("x,,,y").contains("unknown key 'y'"));
        assert!(error("x,").contains("between two commas"));
    }

    #[test]
    fn help_names_every_key() {
        for text in ["help", "x,help", "?"] {
            let Err(Stop::Help(help)) = DISK.parse(text) else {
                panic!("{text}")
            };
            assert!(DISK.keys.iter().all(|k| help.contains(k.name)), "{help}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("512", 1 << 20), Some(512 << 20));
        assert_eq!(size("2G", 1), Some(2 << 30));
        assert_eq!(size("0x1000", 1), Some(4096));
        assert_eq!(size("16777216T", 1), None);
        for bad in ["", "M", "1.5G", "-1", "+1", "1 M", "0x", "1e3"] {
            assert_eq!(size(bad, 1), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn anything_parses_or_is_refused(text in ".{0,80}") {
            let _ = DISK.parse(&text);
        }

        #[test]
        fn doubled_commas_come_back(text in "[a-z,=]{1,20}") {
            let v = DISK.parse(&format!("id={}", text.replace(',', ",,"))).unwrap();
            prop_assert_eq!(v.text("id"), Some(text.as_str()));
        }
    }
}
