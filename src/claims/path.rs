//! Paths into claims, such as `app_metadata.tenant_id`.

use serde_json::Value;

/// The value at a dotted path. A key may hold dots itself (`https://example.com/tenant`): at every level the
/// longest reading of a key is tried first.
pub fn find<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let members = value.as_object()?;
    if let Some(found) = members.get(path) {
        return Some(found);
    }
    path.rmatch_indices('.').find_map(|(dot, _)| {
        let (key, rest) = (path.get(..dot)?, path.get(dot + 1..)?);
        find(members.get(key)?, rest)
    })
}

/// Splits a setting that lists paths, in order of preference.
pub fn list(setting: &str) -> Vec<String> {
    setting.split(',').map(str::trim).filter(|path| !path.is_empty()).map(str::to_owned).collect()
}

/// The first of the paths that leads to something. JSON null is as good as absent.
pub fn first<'v>(value: &'v Value, paths: &[String]) -> Option<&'v Value> {
    paths.iter().filter_map(|path| find(value, path)).find(|found| !found.is_null())
}
