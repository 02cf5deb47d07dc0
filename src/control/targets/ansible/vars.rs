//! Variables of hosts and groups, as far as they concern agents.

use crate::net::{Host, Target};

/// Variables of a host: the address of its agent, and the user as whom commands run there.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct HostVars {
    /// Address from `udpagent_address`.
    pub address: Option<Host>,
    /// Port, from `udpagent_port` or that of `udpagent_address`.
    pub port: Option<u16>,
    /// User, from `udpagent_user`.
    pub user: Option<String>,
    /// Address from `ansible_host`.
    pub ansible_host: Option<Host>,
}

impl HostVars {
    /// Returns these variables, with those of `lower` where they are not set.
    #[must_use]
    pub fn over(self, lower: Self) -> Self {
        Self {
            address: self.address.or(lower.address),
            port: self.port.or(lower.port),
            user: self.user.or(lower.user),
            ansible_host: self.ansible_host.or(lower.ansible_host),
        }
    }

    /// Sets the variables that `newer` has.
    pub fn update(&mut self, newer: Self) {
        *self = newer.over(std::mem::take(self));
    }

    /// Returns the address.
    #[must_use]
    pub fn address(&self) -> Option<&Host> {
        self.address.as_ref().or(self.ansible_host.as_ref())
    }

    /// Sets a variable. Others than those of agents are passed over; `ansible_port` is ssh's port and `ansible_user` its
    /// user. `warn` takes a sentence about a value without effect.
    ///
    /// # Errors
    /// A sentence about the value.
    pub fn set(
        &mut self,
        name: &str,
        value: &str,
        warn: &mut dyn FnMut(String),
    ) -> Result<(), String> {
        let is_template = value.contains("{{") || value.contains("{%");
        match name {
            "ansible_host" if is_template => {
                warn("ansible_host: templates are not evaluated; the host is contacted under its name".into());
            }
            "udpagent_address" | "udpagent_port" | "udpagent_user" if is_template => {
                return Err(format!("{name}: templates are not evaluated"));
            }
            "ansible_host" => {
                let address = address(name, value)?;
                if address.names_port() {
                    return Err(format!("{name}: \"{value}\" is not an address"));
                }
                self.ansible_host = Some(address.host().clone());
            }
            "udpagent_address" => {
                let address = address(name, value)?;
                if address.names_port() && self.port.is_none() {
                    self.port = Some(address.port());
                }
                self.address = Some(address.host().clone());
            }
            "udpagent_port" => {
                let port = value.parse().ok().filter(|&port| port > 0);
                let error = || format!("{name}: \"{value}\" is not a port; write 1 to 65535");
                self.port = Some(port.ok_or_else(error)?);
            }
            "udpagent_user" if value.is_empty() => return Err(format!("{name}: it is empty")),
            "udpagent_user" => self.user = Some(value.to_owned()),
            _ => {}
        }
        Ok(())
    }
}

fn address(name: &str, value: &str) -> Result<Target, String> {
    value.parse().map_err(|error| format!("{name}: {error}"))
}
