//! Where messages and notes go: standard output and standard error, or a terminal on which someone is typing.

use super::options::BinaryFormat;
use super::show::{self, Style};
use rustyline::ExternalPrinter;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;
use vaiven::Message;

/// What the editor needs to draw its line again.
const REDRAW: Duration = Duration::from_millis(20);

/// The reader of the conversation.
pub(super) enum Output {
    /// Messages to standard output, notes to standard error.
    Pipe { binary: BinaryFormat, is_terminal: bool, notes: Style },
    /// Both above the line that is being typed.
    Terminal { binary: BinaryFormat, style: Style, printer: Box<dyn ExternalPrinter + Send> },
}

impl Output {
    pub(super) fn pipe(binary: Option<BinaryFormat>) -> Self {
        let is_terminal = io::stdout().is_terminal();
        let default = if is_terminal { BinaryFormat::Hexdump } else { BinaryFormat::Raw };
        let notes = Style::of(io::stderr().is_terminal());
        Self::Pipe { binary: binary.unwrap_or(default), is_terminal, notes }
    }

    pub(super) fn terminal(
        binary: Option<BinaryFormat>,
        printer: impl ExternalPrinter + Send + 'static,
    ) -> Self {
        Self::Terminal {
            binary: binary.unwrap_or(BinaryFormat::Hexdump),
            style: Style::of(true),
            printer: Box::new(printer),
        }
    }

    /// Shows a message.
    ///
    /// # Errors
    /// Nobody reads any more.
    pub(super) fn message(&mut self, message: &Message) -> io::Result<()> {
        match self {
            Self::Pipe { binary, is_terminal, .. } => write_message(message, *binary, *is_terminal),
            Self::Terminal { binary, style, printer } => {
                let text = match message {
                    Message::Text(text) => show::visible(text).replace('\n', "\n  "),
                    Message::Binary(bytes) => match show::binary(bytes, *binary) {
                        Some(text) if *binary == BinaryFormat::Hexdump => {
                            format!("(binary, {} bytes)\n{text}", bytes.len())
                        }
                        Some(text) => text,
                        None => show::visible(&String::from_utf8_lossy(bytes)),
                    },
                };
                let text = text.trim_end_matches('\n');
                printer.print(format!("{}\n", style.incoming(&format!("< {text}")))).map_err(io::Error::other)
            }
        }
    }

    /// Says something about the conversation.
    pub(super) fn note(&mut self, text: &str) {
        self.line(text, Style::dim);
    }

    /// Says what went wrong.
    pub(super) fn error(&mut self, text: &str) {
        self.line(text, Style::error);
    }

    /// Whether a person types here.
    pub(super) fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal { .. })
    }

    /// Waits until all is on the terminal. The editor takes the next text only when the last is printed, and one can
    /// wait on the way to it: behind two that show nothing, all before them are there. The rest of the time is for
    /// those two.
    pub(super) fn finish(mut self) {
        if let Self::Terminal { printer, .. } = &mut self {
            let nothing = || "\x1b[A\n".to_owned();
            let _ = printer.print(nothing()).and_then(|()| printer.print(nothing()));
            std::thread::sleep(REDRAW);
        }
    }

    fn line(&mut self, text: &str, paint: impl Fn(Style, &str) -> String) {
        let text = show::visible(text);
        // There is nobody else to tell that this could not be written.
        match self {
            Self::Pipe { notes, .. } => {
                let _ = writeln!(io::stderr(), "{}", paint(*notes, &text));
            }
            Self::Terminal { style, printer, .. } => {
                let _ = printer.print(format!("{}\n", paint(*style, &text)));
            }
        }
    }
}

fn write_message(message: &Message, binary: BinaryFormat, is_terminal: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match message {
        Message::Text(text) if is_terminal => writeln!(out, "{}", show::visible(text))?,
        Message::Text(text) => {
            out.write_all(text.as_bytes())?;
            out.write_all(b"\n")?;
        }
        Message::Binary(bytes) => match show::binary(bytes, binary) {
            Some(text) => writeln!(out, "{text}")?,
            None => out.write_all(bytes)?,
        },
    }
    out.flush()
}
