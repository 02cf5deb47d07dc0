//! Terminal of a job: its screen, its window size, its keyboard.

use super::input::Input;
use super::{Action, JobRequest, RemoteJob, write};
use crate::message::{OsText, Request, to_line};
use crate::wire::Lane;

impl RemoteJob {
    /// Handles the acceptance of the attachment in use, now the first.
    pub(super) fn on_terminal(
        &mut self,
        (terminal, kept): (bool, bool),
        screen: Option<OsText>,
        stdin: u64,
    ) {
        let first = !std::mem::replace(&mut self.accepted, true);
        if first {
            let places = self.outputs.map(|output| output.received);
            self.actions.push_back(Action::Accepted {
                terminal,
                kept,
                places,
            });
        }
        self.wants_screen = false;
        if let Some(screen) = screen {
            let bytes = screen.into_os_string().into_encoded_bytes();
            self.actions.push_back(Action::Screen(bytes.into()));
        }
        let keyboard = matches!(self.request, JobRequest::Attach { keyboard: true, .. });
        if first && terminal && keyboard {
            self.input = Input::after(stdin);
            self.attachments[0].stdin = Some(stdin);
        }
        self.tell_window();
    }

    /// Asks for the screen, after something else was drawn on the user's terminal: attaches once more.
    pub fn repaint(&mut self) {
        let is_running = self.accepted && self.exit.is_none() && !self.cancel;
        if is_running && !self.ended && !std::mem::replace(&mut self.wants_screen, true) {
            self.connect_beside();
        }
    }

    /// Sends the window size on the attachment in use.
    pub(super) fn tell_window(&mut self) {
        if let (Some(window), Some(attachment)) = (self.window, self.attachments.first())
            && attachment.accepted
            && self.exit.is_none()
        {
            let line = to_line(&Request::Resize(window)).into();
            let write = write(attachment, Lane::Control, line, false);
            self.command(write);
        }
    }
}
