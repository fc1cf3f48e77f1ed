#include "fhir/outcome_words.h"

#include <string.h>

struct words {
    const char *english; /* the text of a FAIL; one * stands for what differs from call to call */
    const char *chinese;
};

/* What a person at a screen or at a device may meet, in the order of the folders. What only a program can do wrong
 * stays in English behind the words of its kind. */
static const struct words sentences[] = {
    { "change the password first", "请先修改密码" },
    { "the role * lacks the right '*", "当前岗位没有这项权限" },
    { "the role * has no *", "当前岗位不能办理这类记录" },
    { "the role * may not *", "当前岗位不能更改这条记录" },
    { "there is no such resource, or it is not to be seen", "没有这条记录，或不在您可查阅的范围内" },
    { "there is no resource with that id", "没有这条记录，或不在您可查阅的范围内" },
    { "there is no such resource", "没有这条记录，或不在您可查阅的范围内" },
    { "there is no such version", "没有这个版本" },
    { "who sees a * masked cannot change it", "看到的是遮蔽后的内容，不能更改" },
    { "the parameter '*' would reveal what is masked for this role", "不能按遮蔽的内容查找或排序" },
    { "the resource has been deleted", "这条记录已删除" },
    { "there is nothing at this address", "没有这个地址" },
    { "this method is not offered at this address", "这个地址不支持此操作方式" },
    { "this method is not known here", "不支持此操作方式" },
    { "there is no such account", "没有这个账号" },
    { "an account's name has *", "账号须为 2 至 64 位字母、数字、点、横线或下划线" },
    { "an account of this name exists", "已有同名账号" },
    { "there is no such Practitioner: enter the person first", "没有这个人员，请先登记人员" },
    { "this person holds a post at another hospital: its administrator decides",
      "此人在其他医院任职，由该院管理员办理" },
    { "there are * accounts, the most that this program keeps", "账号数已达上限" },
    { "the post has ended or was taken away: sign in again", "岗位已结束或被撤销，请重新登录" },
    { "this person does not hold that post", "此人没有这个岗位" },
    { "too many people sign in at once: try again in a few seconds", "同时登录的人较多，请几秒后再试" },
    { "too many people are signed in at once", "同时在线人数已达上限" },
    { "a password has at most *", "密码过长" },
    { "a password is text of at most *", "密码过长" },
    { "a password needs at least *", "密码太短" },
    { "this password is among the first that are tried: choose another", "这个密码太常见，请换一个" },
    { "a password must not hold the account's name", "密码中不能含有账号" },
    { "the new password is the old one", "新密码不能与原密码相同" },
    { "a password is changed by its person, at a screen", "密码只能由本人登录后修改" },
    { "only a person at a screen can sign", "只有本人登录后才能签名" },
    { "the password is needed again before signing", "签名前须再次输入密码" },
    { "the name or the password is wrong, or the account is disabled", "账号或密码不正确，或账号已停用" },
    { "the account is disabled", "账号已停用" },
    { "too many wrong passwords: wait *", "密码错误次数过多，请稍候再试" },
    { "name and password are needed", "请填写账号和密码" },
    { "not signed in, or the session has ended: sign in again", "未登录或登录已过期，请重新登录" },
    { "not signed in", "未登录" },
    { "sign-in is taken from this server's own pages only", "只能从本系统的页面登录" },
    { "the request does not come from this site (header Origin)", "请求不是从本系统页面发出的" },
    { "the header X-CSRF-Token is missing *", "页面已过期，请重新载入" },
    { "only a Practitioner can sign", "只有登记的人员可以签名" },
    { "the bearer token is not one of this server", "令牌无效" },
    { "this server keeps no images", "本系统未启用影像存储" },
    { "there is no such study", "没有这项检查，或不在您可查阅的范围内" },
    { "there is no such study waiting to be matched", "没有这项待匹配的影像，可能已由他人匹配" },
    { "there is no such patient", "没有这位患者，或不在您可查阅的范围内" },
    { "the metadata of this study is too large: ask for its series", "检查过大，请按序列查看" },
    { "the only overlay is mask", "叠加层只有测量范围（mask）" },
    { "viewport must be width,height *", "画面大小须为 宽,高（像素）" },
    { "window must be *", "窗位须为预设名称或 窗位,窗宽" },
    { "quality must be a number from 1 to 100", "画质须为 1 至 100 的整数" },
    { "the disk is full: nothing of this request was stored", "服务器存储已满，本次内容没有保存" },
    { "the disk is full: nothing was stored*",
      "服务器存储已满，本次内容没有保存。请腾出空间，之后自动恢复写入" },
    { "the clock is *", "服务器时钟早于最后一次保存的时间，已暂停写入。请校正时钟，之后自动恢复写入" },
    { "the audit log cannot be written*", "审计日志暂时无法写入，请稍后再试" },
    { "the page is too large: ask for less by _count", "一页内容过多，请减少每页条数" },
    { "the answer is too large", "结果过大，请缩小范围" },
    { "If-Match is not the version of this resource: read it again", "内容已被他人更新，请重新载入后再办理" },
    { "the record has changed meanwhile: read it again", "内容已被他人更新，请重新载入后再办理" },
    { "the Task has moved meanwhile: read it again", "这一步刚被他人办理，请重新载入后再办理" },
    { "'*' cannot be done in state '*", "当前状态不能办理这一步" },
    { "your role may not begin a *", "当前岗位不能发起此项业务" },
    { "what the Task is about is no longer there", "所办理的记录已不存在" },
    { "a Task with a workflow is not deleted; cancel it", "流程中的记录不能删除，可以取消" },
    { "the record cannot be written in this way", "这条记录不能这样更改" },
    { "not a date: *", "不是日期，应写作 2026-11-22" },
    { "date must be a day, for example 2026-11-22", "日期须为某一天，如 2026-11-22" },
    { "figures of this organisation are not yours to ask for", "不能查看该机构的统计数字" },
    { "there is no such indicator", "没有这个指标" },
    { "there is no such report", "没有这份报告" },
    { "the report is too large", "报告过大" },
    { "the server has too much to do; try again in a moment", "服务器繁忙，请稍后再试" },
    { "the server is stopping", "服务器正在停止" },
    { "live events are not to be had now", "暂时不能接收实时更新" },
    { "the body is larger than *", "内容过大，超过本操作的上限" },
    { "the resource is not valid R4", "记录的结构不符合 FHIR R4" },
};

static const char *const kinds[ERROR_KINDS_COUNT] = {
    [ERROR_NONE] = "没有问题",
    [ERROR_INPUT] = "请求的内容有误",
    [ERROR_STRUCTURE] = "内容的结构有误",
    [ERROR_UNSUPPORTED] = "本系统不提供这种用法",
    [ERROR_SIGN_IN] = "未登录或登录已过期",
    [ERROR_FORBIDDEN] = "当前岗位无权办理",
    [ERROR_NOT_FOUND] = "未找到，或不在您可查阅的范围内",
    [ERROR_METHOD] = "不支持此操作方式",
    [ERROR_NOT_ACCEPTABLE] = "不提供所要求的格式",
    [ERROR_CONFLICT] = "与已有内容冲突",
    [ERROR_GONE] = "已删除",
    [ERROR_PRECONDITION] = "内容已被他人更新",
    [ERROR_TOO_LARGE] = "内容过大",
    [ERROR_MEDIA_TYPE] = "不接受这种格式",
    [ERROR_RULE] = "不符合办理规则",
    [ERROR_TOO_COSTLY] = "查询范围过大，请缩小后再试",
    [ERROR_TOO_MANY] = "次数过多，请稍候再试",
    [ERROR_INTERNAL] = "服务器出错",
    [ERROR_BUSY] = "服务器繁忙，请稍后再试",
    [ERROR_FULL] = "服务器存储已满",
};

/* Whether the text is the pattern's, with anything where a * stands. Patterns are ours and short. */
static bool fits(const char *pattern, struct str text)
{
    size_t at = 0;
    const char *after_star = NULL;
    size_t retry = 0;
    while (at < text.len) {
        if (*pattern == '*') {
            after_star = ++pattern;
            retry = at;
        } else if (*pattern == text.at[at]) {
            pattern++;
            at++;
        } else if (after_star != NULL) {
            pattern = after_star;
            at = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

struct str outcome_words_chinese(struct arena *arena, enum error_kind kind, struct str english)
{
    assert(kind < ERROR_KINDS_COUNT);
    for (size_t i = 0; i < sizeof sentences / sizeof *sentences; i++) {
        if (fits(sentences[i].english, english)) {
            return str_from_cstr(sentences[i].chinese);
        }
    }
    struct str general = str_from_cstr(kinds[kind]);
    if (english.len == 0) {
        return general;
    }
    struct str whole = arena_printf(arena, "%s：%.*s", kinds[kind], STR_FMT(english));
    return whole.at == NULL ? general : whole;
}
