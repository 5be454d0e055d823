//! Reading a command line, with every fault told at once.

use std::ffi::OsString;
use std::io::IsTerminal as _;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// What came of a command line.
#[derive(Debug)]
pub(super) enum Parsed<T> {
    Command(Box<T>),
    /// Help or version were asked for: text for standard output.
    Shown(String),
    Faults(Faults<T>),
}

/// What was wrong, and what else the command line says: a command that checks more than its
/// parser does can tell those faults in the same breath.
#[derive(Debug)]
pub(super) struct Faults<T> {
    pub(super) told: Vec<String>,
    /// The arguments that were taken out, such as `--crf`.
    pub(super) left_out: Vec<String>,
    /// The command without them, where one remains.
    pub(super) rest: Option<Box<T>>,
}

/// More faults than anybody reads.
const MOST_FAULTS: usize = 20;

/// Reads the command line. The parser stops at the first fault; so that faulty argument is
/// noted and left out, and the rest is read again.
pub(super) fn parse<T: Parser>(args: impl IntoIterator<Item = OsString>) -> Parsed<T> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let mut faults: Vec<String> = Vec::new();
    let mut noted: Vec<String> = Vec::new();
    let mut rest = None;
    while faults.len() < MOST_FAULTS {
        let error = match T::try_parse_from(&args) {
            Ok(command) if faults.is_empty() => return Parsed::Command(Box::new(command)),
            Ok(command) => {
                rest = Some(Box::new(command));
                break;
            }
            Err(error) => error,
        };
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                let text = error.render();
                return Parsed::Shown(if std::io::stdout().is_terminal() {
                    text.ansi().to_string()
                } else {
                    text.to_string()
                });
            }
            ErrorKind::MissingRequiredArgument => {
                for name in named(&error) {
                    // One that was left out for its value has been told.
                    if !noted.iter().any(|known| name.starts_with(known.as_str())) {
                        faults.push(format!("{name} is required"));
                    }
                }
                break;
            }
            ErrorKind::UnknownArgument | ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
                faults.push(sentence(&error));
                if !leave_out(&mut args, &error, &mut noted) {
                    break;
                }
            }
            _ => {
                faults.push(sentence(&error));
                break;
            }
        }
    }
    Parsed::Faults(Faults {
        told: faults,
        left_out: noted,
        rest,
    })
}

/// The parser's message without its heading and its advice.
fn sentence(error: &clap::Error) -> String {
    let text = error.to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    first
        .split('\n')
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ")
}

fn named(error: &clap::Error) -> Vec<String> {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(name)) => vec![name.clone()],
        Some(ContextValue::Strings(names)) => names.clone(),
        _ => Vec::new(),
    }
}

/// Takes the faulty argument out; `false` where it cannot be found.
fn leave_out(args: &mut Vec<OsString>, error: &clap::Error, noted: &mut Vec<String>) -> bool {
    let Some(name) = named(error).into_iter().next() else {
        return false;
    };
    // `--crf <N>` names the flag, `<INPUT>` a positional argument.
    let flag = name.split([' ', '=']).next().unwrap_or(&name).to_owned();
    noted.push(flag.clone());
    let value = match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) => Some(value.clone()),
        _ => None,
    };
    let joined = value.as_ref().map(|value| format!("{flag}={value}"));
    let found = args.iter().position(|arg| {
        arg.to_str().is_some_and(|arg| {
            arg == flag || joined.as_deref() == Some(arg) || arg.starts_with(&format!("{flag}="))
        })
    });
    match (found, value) {
        (Some(at), Some(value)) if args[at].to_str() == Some(&flag) => {
            // Without a value, what follows is somebody else's.
            let has_value = args.get(at + 1).is_some_and(|next| *next == *value);
            args.drain(at..=at + usize::from(has_value));
            true
        }
        (Some(at), _) => {
            args.remove(at);
            true
        }
        (None, Some(value)) => {
            let at = args.iter().rposition(|arg| arg.to_str() == Some(&value));
            at.map(|at| args.remove(at)).is_some()
        }
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    struct Test {
        #[arg(long)]
        crf: Option<u8>,
        #[arg(long)]
        count: Option<u32>,
        #[arg(long)]
        output: String,
    }

    fn faults(line: &str) -> Vec<String> {
        match parse::<Test>(line.split(' ').map(OsString::from)) {
            Parsed::Faults(faults) => faults.told,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_fault_is_told() {
        let faults = faults("test --crf low --count=many --colour");
        assert_eq!(faults.len(), 4, "{faults:?}");
        assert!(
            faults[0].contains("low") && faults[1].contains("many"),
            "{faults:?}"
        );
        assert!(
            faults[2].contains("--colour") && faults[3].contains("--output"),
            "{faults:?}"
        );
    }

    #[test]
    fn a_flag_without_its_value_takes_no_other_flag_along() {
        let faults = faults("test --output --crf low");
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(
            faults[0].contains("--output") && faults[1].contains("low"),
            "{faults:?}"
        );
    }

    #[test]
    fn what_remains_is_there_to_be_checked_further() {
        let line = "test --output x --crf low --count 3";
        let Parsed::Faults(faults) = parse::<Test>(line.split(' ').map(OsString::from)) else {
            panic!("accepted");
        };
        assert_eq!(faults.left_out, ["--crf"]);
        assert_eq!(faults.rest.map(|rest| rest.count), Some(Some(3)));
    }

    #[test]
    fn a_faulty_value_is_not_told_twice() {
        let faults = faults("test --crf low --output x");
        assert_eq!(faults.len(), 1, "{faults:?}");
    }
}
