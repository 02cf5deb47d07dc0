//! Landlock: no right to any file, no TCP, no signal and no abstract socket outside of this process.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, LandlockStatus, Ruleset, RulesetAttr as _, RulesetError,
    RulesetStatus, Scope,
};

/// Restricts this thread and returns the version of the interface, or 0 if nothing is in force.
pub fn restrict() -> u8 {
    apply().unwrap_or(0)
}

fn apply() -> Result<u8, RulesetError> {
    // The rights to UDP of later versions are left alone: they would also concern datagrams on the open sockets.
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(ABI::V9))?
        .handle_access(AccessNet::BindTcp | AccessNet::ConnectTcp)?
        .scope(Scope::from_all(ABI::V9))?
        .create()?
        .restrict_self()?;
    let version = match status.landlock {
        LandlockStatus::Available { effective_abi, .. } => effective_abi as i32,
        LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => 0,
    };
    Ok(match status.ruleset {
        RulesetStatus::NotEnforced => 0,
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => {
            u8::try_from(version).unwrap_or(u8::MAX)
        }
    })
}
