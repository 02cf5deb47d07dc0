//! Events of the network thread for a loop that polls sockets.
//!
//! A channel cannot be polled together with sockets, so a thread takes the events and wakes the loop. Invariant: at most
//! [`EVENTS`] events are taken before the loop has handled one.

use std::io;
use std::thread::{Scope, ScopedJoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::limits::EVENTS;
use super::stopper::Stopper;
use crate::control::client::Client;
use crate::net::Event;

/// Events for the loop. The thread ends when it is dropped.
pub(super) struct Events {
    pub(super) channel: Receiver<Event>,
    _stop: Sender<()>,
}

impl Events {
    /// Starts the thread.
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        client: &Client,
        stopper: Stopper,
    ) -> io::Result<Self> {
        let events = client.events().clone();
        let (sender, channel) = bounded(EVENTS);
        let (stop, stopped) = bounded::<()>(0);
        let _: ScopedJoinHandle<'_, ()> = std::thread::Builder::new()
            .name("events".into())
            .spawn_scoped(scope, move || {
                pump(&events, &sender, &stopped, &stopper);
                // The loop sees the end of its channel.
                drop(sender);
                stopper.wake();
            })?;
        Ok(Self {
            channel,
            _stop: stop,
        })
    }
}

/// Takes events until the network thread or the loop has ended.
fn pump(
    events: &Receiver<Event>,
    sender: &Sender<Event>,
    stopped: &Receiver<()>,
    stopper: &Stopper,
) {
    loop {
        select! {
            recv(events) -> event => match event.map(|event| sender.send(event)) {
                Ok(Ok(())) => stopper.wake(),
                Ok(Err(_)) | Err(_) => return,
            },
            recv(stopped) -> _ => return,
        }
    }
}
