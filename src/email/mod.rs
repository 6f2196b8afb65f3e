//! Which e-mail addresses a tenant takes in: by domain, or by a pattern over the whole address. Both are compared
//! as ASCII without case and in time linear in the address, whatever a stranger signs up with.

pub mod pattern;

/// RFC 5321: 64 of the local part, the @, 255 of the domain.
pub const LONGEST_ADDRESS: usize = 320;
const LONGEST_LOCAL_PART: usize = 64;
const LONGEST_DOMAIN: usize = 253;
const LONGEST_LABEL: usize = 63;

/// A host name of two labels at least, in ASCII: names in other scripts as they stand in DNS, `xn--…`.
pub fn is_domain(name: &[u8]) -> bool {
    let label = |label: &[u8]| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && label.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
            && !label.starts_with(b"-")
            && !label.ends_with(b"-")
    };
    name.len() <= LONGEST_DOMAIN
        && name.contains(&b'.')
        && name.split(|byte| *byte == b'.').all(label)
        && !name.rsplit(|byte| *byte == b'.').next().is_some_and(|top| top.iter().all(u8::is_ascii_digit))
}

/// The domain of an address worth comparing: one @, no spaces or control characters, lengths as in mail. Quoted local
/// parts with an @ of their own are nobody's address here.
pub fn domain_of(address: &[u8]) -> Option<&[u8]> {
    if address.len() > LONGEST_ADDRESS {
        return None;
    }
    let mut parts = address.split(|byte| *byte == b'@');
    let (local, domain, more) = (parts.next()?, parts.next()?, parts.next());
    let plain = std::str::from_utf8(local)
        .is_ok_and(|local| !local.chars().any(|c| c.is_control() || c.is_whitespace()));
    let fits = more.is_none() && plain && (1..=LONGEST_LOCAL_PART).contains(&local.len());
    (fits && is_domain(domain)).then_some(domain)
}

/// Whether an address is of one of the domains, exactly and not of one below it, or fits the pattern.
pub fn matches<'d>(
    address: &[u8],
    mut domains: impl Iterator<Item = &'d [u8]>,
    pattern: Option<&[u8]>,
) -> bool {
    let Some(domain) = domain_of(address) else { return false };
    domains.any(|wanted| wanted.eq_ignore_ascii_case(domain))
        || pattern.is_some_and(|pattern| pattern::matches(pattern, address))
}
