//! A person at a terminal: a line editor with history on a thread of its own, and the terminal as it was at the end.

use super::command::{self, Action, Line};
use super::show::Style;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor, ExternalPrinter};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// Lines of the history that are kept.
const MAX_HISTORY: usize = 1_000;
/// Lines that were typed and are not sent yet.
const AHEAD: usize = 64;
const PROMPT: &str = "> ";

/// The editor, not started yet.
pub(super) struct Terminal {
    editor: Editor<(), FileHistory>,
    history: Option<PathBuf>,
}

impl Terminal {
    /// Prepares the editor, and reads the history unless there shall be none.
    pub(super) fn open(keeps_history: bool) -> rustyline::Result<Self> {
        let config = Config::builder()
            .max_history_size(MAX_HISTORY)?
            .history_ignore_dups(true)?
            .history_ignore_space(true)
            .auto_add_history(true)
            .build();
        let mut editor = Editor::with_config(config)?;
        let history = if keeps_history { history_path() } else { None };
        if let Some(path) = &history {
            // There is none the first time.
            let _ = editor.load_history(path);
        }
        Ok(Self { editor, history })
    }

    /// What prints above the line that is being typed.
    pub(super) fn printer(&mut self) -> rustyline::Result<impl ExternalPrinter + Send + use<>> {
        self.editor.create_external_printer()
    }

    /// Reads lines from now on, until the input ends or one asks to quit.
    pub(super) fn start(self) -> mpsc::Receiver<Action> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        std::thread::spawn(move || self.read(&sender));
        receiver
    }

    fn read(mut self, actions: &mpsc::Sender<Action>) {
        loop {
            let action = match self.editor.readline(PROMPT) {
                Ok(line) => {
                    if let Some(path) = &self.history {
                        keep(&mut self.editor, path);
                    }
                    match command::parse(&line) {
                        Ok(Line::Act(action)) => action,
                        Ok(Line::Nothing) => continue,
                        Ok(Line::Help) => {
                            println!("{}", command::HELP);
                            continue;
                        }
                        Err(why) => {
                            println!("{}", Style::of(true).error(&why));
                            continue;
                        }
                    }
                }
                Err(ReadlineError::Eof | ReadlineError::Interrupted) => Action::Quit,
                Err(error) => Action::Fail(format!("cannot read from the terminal: {error}")),
            };
            let is_last = matches!(action, Action::Quit | Action::Fail(_));
            // This thread never waits for the connection: whoever prints may be waiting for the editor.
            match actions.try_send(action) {
                Ok(()) if !is_last => {}
                Err(TrySendError::Full(_)) => {
                    println!("{}", Style::of(true).error("not sent: the server takes nothing at the moment"));
                }
                Ok(()) | Err(TrySendError::Closed(_)) => return,
            }
        }
    }
}

/// Appends the newest line at once: whatever ends the program, it is kept.
fn keep(editor: &mut Editor<(), FileHistory>, path: &Path) {
    if let Some(dir) = path.parent() {
        // A history that cannot be kept is no reason to end a conversation.
        let _ = std::fs::create_dir_all(dir);
    }
    let _ = editor.append_history(path);
}

/// `$XDG_STATE_HOME/vaiven/history`, by default below `~/.local/state`.
fn history_path() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")))?;
    Some(state.join("vaiven").join("history"))
}

/// Gives the terminal back as it was: the editor's thread may be in the middle of a line when the program ends.
pub(super) struct Restore {
    #[cfg(unix)]
    before: Option<rustix::termios::Termios>,
}

impl Restore {
    pub(super) fn new() -> Self {
        Self {
            #[cfg(unix)]
            before: rustix::termios::tcgetattr(std::io::stdin()).ok(),
        }
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(before) = &self.before {
            let _ =
                rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, before);
        }
        // The prompt goes, and pasting is plain again.
        print!("\r\x1b[K\x1b[?2004l");
        let _ = std::io::Write::flush(&mut std::io::stdout());
    }
}
