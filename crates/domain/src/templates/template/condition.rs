//! `{{#if x}}` and `{{#unless x}}`: ERPs and spreadsheets write `N`, `0` or `0,00` where they mean no.

use handlebars::{Context, Handlebars, Helper, HelperDef, HelperResult, JsonTruthy, Output, RenderContext, Renderable};
use serde_json::Value;

use crate::spreadsheet::is_no;

pub(super) struct Condition {
    pub(super) is_if: bool,
}

impl HelperDef for Condition {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        engine: &'reg Handlebars<'reg>,
        context: &'rc Context,
        state: &mut RenderContext<'reg, 'rc>,
        output: &mut dyn Output,
    ) -> HelperResult {
        let is_yes = helper.param(0).is_some_and(|parameter| match parameter.value() {
            Value::String(text) => !is_no(text),
            other => other.is_truthy(false),
        });
        let branch = if is_yes == self.is_if { helper.template() } else { helper.inverse() };
        branch.map_or(Ok(()), |branch| branch.render(engine, context, state, output))
    }
}
