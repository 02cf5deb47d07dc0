//! Exchange of a run: input that hosts want is asked for, output of hosts is passed on.

use bytes::Bytes;
use crossbeam_channel::{Receiver, never};

use super::super::Output;
use super::super::exchange::{Attempt, Exchange, ExchangeEvent, ExchangeRequest};
use super::Run;
use crate::control::limits;

impl Run<'_> {
    /// Returns the channel of the other side's answers.
    pub(super) fn exchange_events(&self) -> Receiver<ExchangeEvent> {
        let exchange = self.exchange.as_ref();
        exchange.map_or_else(never, |exchange| exchange.events.clone())
    }

    /// Asks for the input of the hosts that take some, once for each piece.
    pub(super) fn ask_for_input(&mut self) {
        let Some(Exchange { requests, .. }) = &self.exchange else {
            return;
        };
        for running in self.running.iter_mut().flatten() {
            if running.job.wants_stdin() && !std::mem::replace(&mut running.is_asked, true) {
                let _ = requests.send(ExchangeRequest::Wanted(running.slot));
            }
        }
    }

    /// Tells the other side something, if there is one. One that is gone has failed with the whole process.
    pub(super) fn tell(&self, request: ExchangeRequest) {
        if let Some(exchange) = &self.exchange {
            let _ = exchange.requests.send(request);
        }
    }

    /// Passes output on to the other side. Returns it if there is none.
    pub(super) fn pass_on(&self, index: usize, output: Output, data: Bytes) -> Option<Bytes> {
        if self.exchange.is_none() || output != Output::Stdout {
            return Some(data);
        }
        if let Some(running) = &self.running[index] {
            self.tell(ExchangeRequest::Output(running.slot, data));
        }
        None
    }

    /// Handles an answer, and those that are already there, up to a limit, before their actions are taken.
    pub(super) fn on_exchange(&mut self, event: ExchangeEvent, others: &Receiver<ExchangeEvent>) {
        self.on_answer(event);
        for event in others.try_iter().take(limits::EVENTS_AT_ONCE) {
            self.on_answer(event);
        }
    }

    fn on_answer(&mut self, event: ExchangeEvent) {
        match event {
            ExchangeEvent::Input(attempt, data) => {
                if let Some(index) = self.index_of(attempt)
                    && let Some(running) = &mut self.running[index]
                {
                    running.is_asked = false;
                    running.sent += data.len() as u64;
                    running.job.on_stdin(data, false);
                    self.ready.insert(index);
                }
            }
            ExchangeEvent::Taken(attempt, bytes) => {
                if self.index_of(attempt).is_some() {
                    self.written(attempt, Output::Stdout, bytes);
                }
            }
            ExchangeEvent::Failed(attempt) => {
                if let Some(index) = self.index_of(attempt)
                    && let Some(running) = &mut self.running[index]
                {
                    running.job.drop_input();
                    running.job.cancel();
                    self.ready.insert(index);
                }
            }
            ExchangeEvent::Note(None, line) => self.say(&line),
            ExchangeEvent::Note(Some(index), line) => {
                let label = &self.tasks[index].label;
                self.say(&format!("{label}: {line}"));
            }
        }
    }

    /// Returns the task of an attempt that is in progress.
    fn index_of(&self, attempt: Attempt) -> Option<usize> {
        let index = self.index(attempt);
        let running = self.running[index].as_ref()?;
        (running.slot == attempt).then_some(index)
    }
}
