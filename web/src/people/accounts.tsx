import { PlusOutlined } from '@ant-design/icons';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { App, Button, Form, Input, Modal, Select } from 'antd';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { humanName, useDirectory } from '../directory';
import { callJson, sendJson } from '../fhir';
import { formatTime } from '../format';
import { useLanguage } from '../i18n';
import { idOf } from '../names';
import { Empty } from '../parts/empty';
import { Loading } from '../parts/loading';
import { Problem, problemText } from '../parts/problem';

export interface Account {
  name: string;
  person?: string | { id?: string; name?: string; reference?: string };
  disabled?: boolean;
  mustChangePassword?: boolean;
  created?: string;
  lastSignIn?: string;
}

const PASSWORD_LENGTH_MIN = 8;
const personId = (account: Account): string | undefined =>
  typeof account.person === 'string' ? (idOf(account.person) ?? account.person) : (account.person?.id ?? idOf(account.person?.reference));

export function Accounts() {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const client = useQueryClient();
  const { message, modal } = App.useApp();
  const [adding, setAdding] = useState(false);
  const [resetting, setResetting] = useState<Account>();
  const { data, error, refetch } = useQuery({
    queryKey: ['accounts'],
    queryFn: async ({ signal }) => {
      const answer = await callJson<{ accounts?: Account[] } | Account[]>('/admin/accounts', { signal });
      return Array.isArray(answer) ? answer : (answer.accounts ?? []);
    },
  });
  const turn = useMutation({
    mutationFn: (account: Account) => sendJson(`/admin/accounts/${encodeURIComponent(account.name)}/${account.disabled ? 'enable' : 'disable'}`, 'POST', {}),
    onSuccess: () => void client.invalidateQueries({ queryKey: ['accounts'] }),
    onError: (failure) => void message.error(problemText(failure, t).title),
  });
  const nameOf = (account: Account): string => {
    const person = directory.practitioners.find((one) => one.id === personId(account));
    return humanName(person) || (typeof account.person === 'object' ? (account.person.name ?? '') : '');
  };
  const confirmTurn = (account: Account) =>
    account.disabled ? turn.mutate(account) : void modal.confirm({
      title: t('people.disableTitle', { name: nameOf(account) || account.name }), content: t('people.disableHelp'), okText: t('people.disable'), okButtonProps: { danger: true },
      onOk: () => turn.mutateAsync(account).catch(() => undefined),
    });

  if (error) return <Problem error={error} retry={() => void refetch()} />;
  if (!data) return <Loading />;
  return (
    <>
      <div className="tab-actions"><Button type="primary" icon={<PlusOutlined />} onClick={() => setAdding(true)}>{t('people.addAccount')}</Button></div>
      {data.length === 0 ? <Empty title={t('people.noAccounts')} /> : (
        <div className="table-scroll">
          <table className="list-table list-simple">
            <thead><tr>{['people.account', 'people.person', 'people.lastSignIn', 'column.state'].map((key) => <th key={key} scope="col">{t(key)}</th>)}<th><span className="visually-hidden">{t('column.action')}</span></th></tr></thead>
            <tbody>
              {data.map((account) => (
                <tr key={account.name}>
                  <td data-label={t('people.account')}><code>{account.name}</code></td>
                  <td data-label={t('people.person')}>{nameOf(account) || '—'}
                    <span className="cell-sub">{directory.posts.filter((post) => post.practitionerId === personId(account)).map((post) => `${t(`role.${post.role}`, { defaultValue: post.role })} · ${post.organizationName}`).join('；')}</span></td>
                  <td data-label={t('people.lastSignIn')}>{formatTime(account.lastSignIn, language) || '—'}</td>
                  <td data-label={t('column.state')}><span className={`badge badge-${account.disabled ? 'off' : 'done'}`}>{t(account.disabled ? 'people.disabled' : 'people.enabled')}</span></td>
                  <td className="cell-action">
                    <Button size="small" onClick={() => setResetting(account)}>{t('people.reset')}</Button>{' '}
                    <Button size="small" danger={!account.disabled} onClick={() => confirmTurn(account)}>{t(account.disabled ? 'people.enable' : 'people.disable')}</Button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <AccountDialog open={adding} onClose={() => setAdding(false)} />
      <ResetDialog account={resetting} onClose={() => setResetting(undefined)} />
    </>
  );
}

interface AccountFields { name: string; person: string; password: string }

function AccountDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  const directory = useDirectory();
  const client = useQueryClient();
  const [form] = Form.useForm<AccountFields>();
  const add = useMutation({
    mutationFn: (fields: AccountFields) => sendJson('/admin/accounts', 'POST', { name: fields.name, person: `Practitioner/${fields.person}`, password: fields.password }),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ['accounts'] });
      onClose();
    },
  });
  return (
    <Modal open={open} title={t('people.addAccount')} okText={t('people.add')} confirmLoading={add.isPending} destroyOnHidden onOk={() => form.submit()} onCancel={onClose} afterClose={() => add.reset()}>
      <Form form={form} layout="vertical" preserve={false} requiredMark={false} onFinish={(fields) => add.mutate(fields)}>
        <Form.Item name="name" label={t('people.account')} extra={t('people.accountHelp')} rules={[{ required: true, pattern: /^[a-z0-9._-]{2,40}$/, message: t('people.accountHelp') }]}><Input autoCapitalize="none" autoComplete="off" /></Form.Item>
        <Form.Item name="person" label={t('people.person')} rules={[{ required: true, message: t('common.required') }]}>
          <Select showSearch optionFilterProp="label" options={directory.practitioners.map((person) => ({ value: person.id ?? '', label: humanName(person) }))} />
        </Form.Item>
        <Form.Item name="password" label={t('people.firstPassword')} rules={[{ required: true, min: PASSWORD_LENGTH_MIN, message: t('password.short', { n: PASSWORD_LENGTH_MIN }) }]}><Input.Password autoComplete="new-password" /></Form.Item>
        {add.error ? <Problem error={add.error} /> : null}
      </Form>
    </Modal>
  );
}

function ResetDialog({ account, onClose }: { account: Account | undefined; onClose: () => void }) {
  const { t } = useTranslation();
  const { message } = App.useApp();
  const [form] = Form.useForm<{ password: string }>();
  const reset = useMutation({
    mutationFn: ({ password }: { password: string }) => sendJson(`/admin/accounts/${encodeURIComponent(account?.name ?? '')}/password`, 'POST', { password }),
    onSuccess: () => {
      void message.success(t('people.resetDone'));
      onClose();
    },
  });
  return (
    <Modal open={account !== undefined} title={t('people.resetTitle', { name: account?.name ?? '' })} okText={t('people.reset')} confirmLoading={reset.isPending} destroyOnHidden
      onOk={() => form.submit()} onCancel={onClose} afterClose={() => reset.reset()}>
      <Form form={form} layout="vertical" preserve={false} requiredMark={false} onFinish={(fields) => reset.mutate(fields)}>
        <Form.Item name="password" label={t('people.newPassword')} extra={t('people.resetHelp')} rules={[{ required: true, min: PASSWORD_LENGTH_MIN, message: t('password.short', { n: PASSWORD_LENGTH_MIN }) }]}><Input.Password autoComplete="new-password" /></Form.Item>
        {reset.error ? <Problem error={reset.error} /> : null}
      </Form>
    </Modal>
  );
}
