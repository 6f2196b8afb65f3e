//! `has_permission` and its kin. NULL in gives NULL out; anything unknown denies.

use crate::pg::call::Call;
use crate::pg::execution::Execution;
use crate::pg::function::{Reply, export};
use crate::rbac::Id;
use crate::session::{self, identity::Identity};
use std::rc::Rc;

export! {
    pg_finfo_tenancy_has_permission, tenancy_has_permission => has_permission;
    pg_finfo_tenancy_has_permission_in, tenancy_has_permission_in => has_permission_in;
    pg_finfo_tenancy_has_any_permission, tenancy_has_any_permission => has_any_permission;
    pg_finfo_tenancy_has_any_permission_in, tenancy_has_any_permission_in => has_any_permission_in;
    pg_finfo_tenancy_has_all_permissions, tenancy_has_all_permissions => has_all_permissions;
    pg_finfo_tenancy_has_all_permissions_in, tenancy_has_all_permissions_in => has_all_permissions_in;
    pg_finfo_tenancy_has_role, tenancy_has_role => has_role;
    pg_finfo_tenancy_has_role_in, tenancy_has_role_in => has_role_in;
    pg_finfo_tenancy_has_tenant_role, tenancy_has_tenant_role => has_tenant_role;
    pg_finfo_tenancy_is_member, tenancy_is_member => is_member;
    pg_finfo_tenancy_can_see_tenant, tenancy_can_see_tenant => can_see_tenant;
}

/// What a call site keeps: the identity it last asked, the name it asked about, and what became of the name.
#[derive(Default)]
struct Site {
    identity: Option<Rc<Identity>>,
    epoch: u64,
    execution: Execution,
    name: Vec<u8>,
    constant: bool,
    /// The bit of a registered permission.
    bit: Option<usize>,
    answer: bool,
}

impl Site {
    /// The identity to answer for, when what the site remembers does not stand.
    fn ask(call: &mut Call) -> Rc<Identity> {
        session::current(call.site::<Self>().is_none_or(|site| site.identity.is_none()))
    }

    fn stands(&self) -> bool {
        self.identity.is_some() && session::stands(self.epoch, self.execution)
    }

    fn stands_for(&self, name: &[u8]) -> bool {
        self.stands() && self.name == name
    }

    fn holds_in(&self, tenant: &Id) -> bool {
        self.bit.zip(self.identity.as_ref()).is_some_and(|(bit, identity)| identity.access.holds(tenant, bit))
    }

    fn remember(&mut self, identity: Rc<Identity>) {
        self.epoch = identity.epoch;
        self.execution = Execution::current();
        self.identity = Some(identity);
    }
}

/// One text argument, one answer for the whole moment.
fn answer_of_name(call: &mut Call, question: impl FnOnce(&Identity, &str) -> bool) -> Reply {
    if let Some(site) = call.site::<Site>()
        && site.constant
        && site.stands()
    {
        return Reply::Bool(site.answer);
    }
    let Some(name) = call.name(0) else { return Reply::Null };
    if let Some(site) = call.site::<Site>()
        && site.stands_for(name)
    {
        return Reply::Bool(site.answer);
    }
    let identity = Site::ask(call);
    let answer = std::str::from_utf8(name).is_ok_and(|name| question(&identity, name));
    let constant = call.is_constant(0);
    if let Some(site) = call.site::<Site>() {
        site.name = name.to_vec();
        site.constant = constant;
        site.answer = answer;
        site.remember(identity);
    }
    Reply::Bool(answer)
}

fn holds(identity: &Identity, tenant: &Id, name: &str) -> bool {
    identity.access.catalogue.bit(name).is_some_and(|bit| identity.access.holds(tenant, bit))
}

fn has_permission(call: &mut Call) -> Reply {
    answer_of_name(call, |identity, name| {
        identity.tenant().is_some_and(|tenant| holds(identity, tenant, name))
    })
}

fn has_role(call: &mut Call) -> Reply {
    answer_of_name(call, |identity, name| {
        let access = identity.tenant().and_then(|tenant| identity.access.open(tenant));
        access.is_some_and(|access| access.application_roles.contains(name))
    })
}

/// A tenant that differs by row and a permission that hardly does: warm, one hash probe and one bit.
fn has_permission_in(call: &mut Call) -> Reply {
    let Some(tenant) = call.uuid(0) else { return Reply::Null };
    if let Some(site) = call.site::<Site>()
        && site.constant
        && site.stands()
    {
        return Reply::Bool(site.holds_in(tenant));
    }
    let Some(name) = call.name(1) else { return Reply::Null };
    if let Some(site) = call.site::<Site>()
        && site.stands_for(name)
    {
        return Reply::Bool(site.holds_in(tenant));
    }
    let identity = Site::ask(call);
    let bit = std::str::from_utf8(name).ok().and_then(|name| identity.access.catalogue.bit(name));
    let answer = bit.is_some_and(|bit| identity.access.holds(tenant, bit));
    let constant = call.is_constant(1);
    if let Some(site) = call.site::<Site>() {
        site.name = name.to_vec();
        site.constant = constant;
        site.bit = bit;
        site.remember(identity);
    }
    Reply::Bool(answer)
}

/// A question about a tenant alone.
fn answer_of_tenant(call: &mut Call, question: impl Fn(&Identity, &Id) -> bool) -> Reply {
    let Some(tenant) = call.uuid(0) else { return Reply::Null };
    if let Some(site) = call.site::<Site>()
        && site.stands()
        && let Some(identity) = &site.identity
    {
        return Reply::Bool(question(identity, tenant));
    }
    let identity = Site::ask(call);
    let answer = question(&identity, tenant);
    if let Some(site) = call.site::<Site>() {
        site.remember(identity);
    }
    Reply::Bool(answer)
}

fn is_member(call: &mut Call) -> Reply {
    answer_of_tenant(call, |identity, tenant| identity.access.open(tenant).is_some())
}

fn can_see_tenant(call: &mut Call) -> Reply {
    answer_of_tenant(call, |identity, tenant| identity.access.tenants.get(tenant).is_some_and(|a| a.visible))
}

fn has_role_in(call: &mut Call) -> Reply {
    let Some(name) = call.name(1) else { return Reply::Null };
    let Ok(name) = std::str::from_utf8(name) else { return Reply::Bool(false) };
    answer_of_tenant(call, |identity, tenant| {
        identity.access.open(tenant).is_some_and(|access| access.application_roles.contains(name))
    })
}

fn has_tenant_role(call: &mut Call) -> Reply {
    let Some(name) = call.name(1) else { return Reply::Null };
    let Ok(name) = std::str::from_utf8(name) else { return Reply::Bool(false) };
    answer_of_tenant(call, |identity, tenant| {
        identity.access.open(tenant).is_some_and(|access| access.tenant_roles.contains(name))
    })
}

/// A NULL among the names is a name nobody holds.
fn holds_name(identity: &Identity, tenant: &Id, name: Option<&[u8]>) -> bool {
    let name = name.and_then(|name| std::str::from_utf8(name).ok());
    name.is_some_and(|name| holds(identity, tenant, name))
}

fn has_any_permission(call: &mut Call) -> Reply {
    let Some(names) = call.texts(0) else { return Reply::Null };
    let identity = session::fresh();
    Reply::Bool(identity.tenant().is_some_and(|t| names.iter().any(|name| holds_name(&identity, t, name))))
}

/// All of nothing is nothing: an empty list denies.
fn has_all_permissions(call: &mut Call) -> Reply {
    let Some(names) = call.texts(0) else { return Reply::Null };
    let identity = session::fresh();
    let all = |tenant: &Id| !names.is_empty() && names.iter().all(|name| holds_name(&identity, tenant, name));
    Reply::Bool(identity.tenant().is_some_and(all))
}

fn has_any_permission_in(call: &mut Call) -> Reply {
    let Some(names) = call.texts(1) else { return Reply::Null };
    answer_of_tenant(call, |identity, tenant| names.iter().any(|name| holds_name(identity, tenant, name)))
}

fn has_all_permissions_in(call: &mut Call) -> Reply {
    let Some(names) = call.texts(1) else { return Reply::Null };
    answer_of_tenant(call, |identity, tenant| {
        !names.is_empty() && names.iter().all(|name| holds_name(identity, tenant, name))
    })
}
