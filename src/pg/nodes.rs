//! Expressions of a query tree, while the planner asks about one: what they are, and building new ones.

use super::array::Texts;
use super::scan;
use pgrx::pg_sys::{self, NodeTag, Oid};
use std::ffi::{CStr, c_int};
use std::marker::PhantomData;

/// A type by which columns name tenants, with its equality: the OIDs that pg_type.dat, pg_operator.dat and pg_proc.dat fix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantType {
    Uuid,
    Bigint,
    Integer,
    Text,
}

impl TenantType {
    const ALL: [Self; 4] = [Self::Uuid, Self::Bigint, Self::Integer, Self::Text];

    pub fn oid(self) -> Oid {
        match self {
            Self::Uuid => pg_sys::UUIDOID,
            Self::Bigint => pg_sys::INT8OID,
            Self::Integer => pg_sys::INT4OID,
            Self::Text => pg_sys::TEXTOID,
        }
    }

    fn array(self) -> Oid {
        match self {
            Self::Uuid => pg_sys::UUIDARRAYOID,
            Self::Bigint => pg_sys::INT8ARRAYOID,
            Self::Integer => pg_sys::INT4ARRAYOID,
            Self::Text => pg_sys::TEXTARRAYOID,
        }
    }

    fn equals(self) -> Oid {
        Oid::from(match self {
            Self::Uuid => 2972,
            Self::Bigint => 410,
            Self::Integer => 96,
            Self::Text => 98,
        })
    }

    fn equals_function(self) -> Oid {
        Oid::from(match self {
            Self::Uuid => pg_sys::F_UUID_EQ,
            Self::Bigint => pg_sys::F_INT8EQ,
            Self::Integer => pg_sys::F_INT4EQ,
            Self::Text => pg_sys::F_TEXTEQ,
        })
    }
}

/// `integer = bigint` and `bigint = integer`.
const MIXED_EQUALS: [u32; 2] = [15, 416];

fn is_equality(operator: Oid) -> bool {
    TenantType::ALL.iter().any(|of| of.equals() == operator)
        || MIXED_EQUALS.iter().any(|mixed| Oid::from(*mixed) == operator)
}

/// Whether equality under this collation, or under none, is sameness.
fn is_exact(collation: Oid) -> bool {
    // SAFETY: a syscache lookup; a query's expressions hold its collations.
    collation == Oid::INVALID || unsafe { pg_sys::get_collation_isdeterministic(collation) }
}

/// An expression that lives as long as the planner's memory of this query.
#[derive(Clone, Copy)]
pub struct Expr<'p> {
    raw: *mut pg_sys::Node,
    during: PhantomData<&'p ()>,
}

/// A column of a relation of the query that is being planned, or a function of its columns, such as an index may have.
#[derive(Clone, Copy)]
pub struct Variable<'p> {
    pub relation: c_int,
    /// 0 for a function.
    attribute: i16,
    expr: Expr<'p>,
}

impl PartialEq for Variable<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.relation == other.relation
            && self.attribute == other.attribute
            && (self.attribute != 0 || self.expr.equals(other.expr))
    }
}

/// A call of a function.
#[derive(Clone, Copy)]
pub struct FunctionCall<'p> {
    raw: *mut pg_sys::FuncExpr,
    during: PhantomData<&'p ()>,
}

/// Which call it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Identity(pub(super) *const pg_sys::List);

impl<'p> Expr<'p> {
    /// # Safety
    /// `raw` is a valid node for as long as `'p`.
    pub(super) unsafe fn new(raw: *mut pg_sys::Node) -> Option<Self> {
        (!raw.is_null()).then_some(Self { raw, during: PhantomData })
    }

    pub(super) fn raw(self) -> *mut pg_sys::Node {
        self.raw
    }

    fn is(self, tag: NodeTag) -> bool {
        // SAFETY: every node begins with its tag.
        unsafe { (*self.raw).type_ == tag }
    }

    pub fn as_function(self) -> Option<FunctionCall<'p>> {
        self.is(NodeTag::T_FuncExpr).then(|| FunctionCall { raw: self.raw.cast(), during: PhantomData })
    }

    pub fn as_variable(self) -> Option<Variable<'p>> {
        if self.is(NodeTag::T_FuncExpr) {
            return self.as_function_of_columns();
        }
        if self.is(NodeTag::T_RelabelType) {
            // SAFETY: the tag says RelabelType: varchar taken for text, which the same index serves.
            return unsafe { Self::new((*self.raw.cast::<pg_sys::RelabelType>()).arg.cast()) }?.as_variable();
        }
        if !self.is(NodeTag::T_Var) {
            return None;
        }
        // SAFETY: the tag says Var.
        let var = unsafe { &*self.raw.cast::<pg_sys::Var>() };
        (var.varlevelsup == 0 && var.varattno > 0).then_some(Variable {
            relation: var.varno,
            attribute: var.varattno,
            expr: self,
        })
    }

    /// One relation's, and the same for the same row: what an index on an expression must be as well.
    fn as_function_of_columns(self) -> Option<Variable<'p>> {
        // SAFETY: walks over a valid expression; with these flags it raises only for a variable of an outer query, of
        // which the first call says whether there is one. The list is of nodes of the expression.
        let variables = unsafe {
            if pg_sys::contain_vars_of_level(self.raw, 1) || pg_sys::contain_mutable_functions(self.raw) {
                return None;
            }
            let kinds = pg_sys::PVC_INCLUDE_AGGREGATES
                | pg_sys::PVC_INCLUDE_WINDOWFUNCS
                | pg_sys::PVC_INCLUDE_PLACEHOLDERS;
            list(pg_sys::pull_var_clause(self.raw, kinds as c_int))
        };
        let mut relations = variables.iter().map(|variable: &Expr| {
            variable
                .is(NodeTag::T_Var)
                .then(|| variable.as_variable().map(|column| column.relation))
                .flatten()
        });
        let relation = relations.next()??;
        relations.all(|other| other == Some(relation)).then_some(Variable {
            relation,
            attribute: 0,
            expr: self,
        })
    }

    /// Whether it has one value for the whole of a scan: no column, nothing volatile, no subquery.
    pub fn is_fixed(self) -> bool {
        // SAFETY: walks over a valid expression.
        unsafe {
            !pg_sys::contain_var_clause(self.raw)
                && !pg_sys::contain_volatile_functions(self.raw)
                && !pg_sys::contain_subplans(self.raw)
        }
    }

    /// Both sides of `x = y` or `x = ANY (y)`, of types that name tenants, if only what is the same is equal.
    fn as_comparison(self) -> Option<(Expr<'p>, Expr<'p>)> {
        // SAFETY: the tags say which node it is; both hold a list of two arguments.
        let (operator, collation, arguments) = unsafe {
            if self.is(NodeTag::T_OpExpr) {
                let op = &*self.raw.cast::<pg_sys::OpExpr>();
                (op.opno, op.inputcollid, list(op.args))
            } else if self.is(NodeTag::T_ScalarArrayOpExpr) {
                let op = &*self.raw.cast::<pg_sys::ScalarArrayOpExpr>();
                (if op.useOr { op.opno } else { Oid::INVALID }, op.inputcollid, list(op.args))
            } else {
                return None;
            }
        };
        (is_equality(operator) && is_exact(collation)).then_some((*arguments.first()?, *arguments.get(1)?))
    }

    /// The column that must equal this expression's other side for it to be true: `column = x`, or
    /// `column = ANY (x)`, with an x that is fixed.
    pub fn as_equality(self) -> Option<Variable<'p>> {
        let (left, right) = self.as_comparison()?;
        match (left.as_variable(), right.as_variable()) {
            (Some(column), None) if right.is_fixed() => Some(column),
            (None, Some(column)) if left.is_fixed() => Some(column),
            _ => None,
        }
    }

    /// The column and the array of `column = ANY (array)`.
    pub fn as_equals_any(self) -> Option<(Variable<'p>, Expr<'p>)> {
        let (left, right) = self.as_comparison().filter(|_| self.is(NodeTag::T_ScalarArrayOpExpr))?;
        Some((left.as_variable()?, right))
    }

    /// Whether both are the same expression.
    pub fn equals(self, other: Expr) -> bool {
        // SAFETY: compares two valid nodes.
        unsafe { pg_sys::equal(self.raw.cast(), other.raw.cast()) }
    }

    /// `self = ANY (array)`, for an index of this operator family and collation, if equality of the type is of the family
    /// and exact: under a nondeterministic collation other texts are equal too.
    pub fn equals_any(
        self,
        of: TenantType,
        array: Expr<'p>,
        family: Oid,
        collation: Oid,
    ) -> Option<Expr<'p>> {
        // SAFETY: a syscache lookup.
        if !is_exact(collation) || !unsafe { pg_sys::op_in_opfamily(of.equals(), family) } {
            return None;
        }
        // SAFETY: a zeroed node of this size with its tag, as makeNode makes; the arguments are nodes.
        unsafe {
            let node =
                pg_sys::palloc0(size_of::<pg_sys::ScalarArrayOpExpr>()).cast::<pg_sys::ScalarArrayOpExpr>();
            (*node).xpr.type_ = NodeTag::T_ScalarArrayOpExpr;
            (*node).opno = of.equals();
            (*node).opfuncid = of.equals_function();
            (*node).useOr = true;
            (*node).inputcollid = collation;
            (*node).args = make_list(&[self, array]);
            (*node).location = -1;
            Some(Expr { raw: node.cast(), during: PhantomData })
        }
    }

    /// NULL of this type.
    pub fn null(of: TenantType) -> Option<Expr<'p>> {
        // SAFETY: makes a node in the planner's memory.
        unsafe { Self::new(pg_sys::makeNullConst(of.oid(), -1, Oid::INVALID).cast()) }
    }
}

impl<'p> FunctionCall<'p> {
    pub fn oid(self) -> Oid {
        // SAFETY: a valid FuncExpr.
        unsafe { (*self.raw).funcid }
    }

    pub fn arguments(self) -> Vec<Expr<'p>> {
        // SAFETY: a valid FuncExpr, whose arguments live as long.
        unsafe { list((*self.raw).args) }
    }

    /// What tells this call from any other in the query: where its list of arguments lies.
    pub fn identity(self) -> Identity {
        // SAFETY: a valid FuncExpr.
        Identity(unsafe { (*self.raw).args }.cast_const())
    }
}

/// What a function of a schema is called, and the type of its first argument, if that can name a tenant.
pub struct Signature {
    pub name: String,
    pub first: Option<TenantType>,
}

/// `None` for a function of another schema: names alone identify nothing.
pub fn signature(function: Oid, schema: Oid) -> Option<Signature> {
    let (mut types, mut count) = (std::ptr::null_mut(), 0);
    // SAFETY: syscache lookups; the name is null or a palloc'd C string, the types an array of `count`. A function
    // that is in a query is locked by nothing, so it may be gone: get_func_name comes first and tells.
    unsafe {
        let name = pg_sys::get_func_name(function);
        if name.is_null() || pg_sys::get_func_namespace(function) != schema {
            return None;
        }
        let name = CStr::from_ptr(name).to_str().ok()?.to_owned();
        pg_sys::get_func_signature(function, &raw mut types, &raw mut count);
        let first = TenantType::ALL.into_iter().find(|of| count > 0 && *types == of.oid());
        Some(Signature { name, first })
    }
}

/// A call of the function of that schema that takes these arguments, of these types, and gives an array.
pub fn array_call<'p>(
    schema: Oid,
    name: &CStr,
    arguments: &[(Expr<'p>, Oid)],
    of: TenantType,
) -> Option<Expr<'p>> {
    let types: Vec<Oid> = arguments.iter().map(|(_, type_oid)| *type_oid).collect();
    let nodes: Vec<Expr> = arguments.iter().map(|(node, _)| *node).collect();
    let function = scan::function(name, &types, schema)?;
    // SAFETY: makes a node of a list of nodes.
    let call = unsafe {
        pg_sys::makeFuncExpr(
            function,
            of.array(),
            make_list(&nodes),
            if of == TenantType::Text { pg_sys::DEFAULT_COLLATION_OID } else { Oid::INVALID },
            Oid::INVALID,
            pg_sys::CoercionForm::COERCE_EXPLICIT_CALL,
        )
    };
    Some(Expr { raw: call.cast(), during: PhantomData })
}

/// What an expression is at planning time.
#[derive(Clone, Copy)]
pub enum Known<'p> {
    Unknown,
    Null,
    Text(&'p [u8]),
    Texts(Texts<'p>),
}

impl<'p> Expr<'p> {
    /// Its value for estimates: parameters count at their present value, stable functions are called.
    pub(super) fn estimated(self, root: *mut pg_sys::PlannerInfo) -> Known<'p> {
        // SAFETY: with a `root` of the planner's the answer is a node (a function is inlined, and a subplan's cost
        // asked for, without one, which estimate_expression_value does not bear); a Const of type text or text[]
        // holds a datum of it that lives as long as the planner's memory.
        unsafe {
            let node = match root.is_null() {
                true => self.raw,
                false => pg_sys::estimate_expression_value(root, self.raw),
            };
            if (*node).type_ != NodeTag::T_Const {
                return Known::Unknown;
            }
            let constant = &*node.cast::<pg_sys::Const>();
            match constant.consttype {
                _ if constant.constisnull => Known::Null,
                pg_sys::TEXTOID => Known::Text(super::function::text_bytes(constant.constvalue)),
                pg_sys::TEXTARRAYOID => Known::Texts(Texts::of(constant.constvalue)),
                _ => Known::Unknown,
            }
        }
    }
}

/// # Safety
/// `list` is NIL or a list of nodes that live as long as `'p`.
pub(super) unsafe fn list<'p>(list: *mut pg_sys::List) -> Vec<Expr<'p>> {
    // SAFETY: the caller's promise.
    unsafe {
        let nodes = pgrx::PgList::<pg_sys::Node>::from_pg(list);
        nodes.iter_ptr().filter_map(|node| Expr::new(node)).collect()
    }
}

fn make_list(nodes: &[Expr]) -> *mut pg_sys::List {
    // SAFETY: lappend allocates the list in the current memory context, the planner's.
    nodes.iter().fold(std::ptr::null_mut(), |list, node| unsafe { pg_sys::lappend(list, node.raw.cast()) })
}
