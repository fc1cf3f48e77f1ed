import { PlusOutlined } from '@ant-design/icons';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { App, Button, Form, Input, Modal, Select, Typography } from 'antd';
import { useState } from 'react';
import { humanName, useDirectory } from '../directory';
import { callJson, sendJson } from '../fhir';
import { formatTime } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { Empty } from '../parts/empty';
import { Loading } from '../parts/loading';
import { isBarred, Problem, problemText, Trouble } from '../parts/problem';
import { toast } from '../parts/toast';

export interface Account {
  name: string;
  /** Id of the Practitioner. */
  practitioner: string;
  disabled?: boolean;
  mustChangePassword?: boolean;
  createdAt?: string;
  lastSignInAt?: string;
}

/** A password that the server has made; it is shown once. */
interface MadePassword { name: string; password: string }

export function Accounts() {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const client = useQueryClient();
  const { modal } = App.useApp();
  const [adding, setAdding] = useState(false);
  const [made, setMade] = useState<MadePassword>();
  const asked = useQuery({
    queryKey: ['accounts'],
    queryFn: async ({ signal }) => {
      const answer = await callJson<{ accounts?: Account[] } | Account[]>('/admin/accounts', { signal });
      return Array.isArray(answer) ? answer : (answer.accounts ?? []);
    },
  });
  const turn = useMutation({
    mutationFn: (account: Account) => sendJson(`/admin/accounts/${encodeURIComponent(account.name)}/${account.disabled ? 'enable' : 'disable'}`, 'POST', {}),
    onSuccess: () => void client.invalidateQueries({ queryKey: ['accounts'] }),
    onError: (failure) => toast.error(problemText(failure, t).title),
  });
  const nameOf = (account: Account): string => {
    const person = directory.practitioners.find((one) => one.id === account.practitioner);
    return humanName(person);
  };
  const reset = useMutation({
    mutationFn: (account: Account) => sendJson<{ password: string }>(`/admin/accounts/${encodeURIComponent(account.name)}/password`, 'POST', {}),
    onSuccess: (answer, account) => setMade({ name: account.name, password: answer.password }),
    onError: (failure) => toast.error(problemText(failure, t).title),
  });
  const confirmReset = (account: Account) =>
    void modal.confirm({
      title: t('people.resetTitle', { name: nameOf(account) || account.name }), content: t('people.resetHelp'), okText: t('people.reset'),
      onOk: () => reset.mutateAsync(account).catch(() => undefined),
    });
  const confirmTurn = (account: Account) =>
    account.disabled ? turn.mutate(account) : void modal.confirm({
      title: t('people.disableTitle', { name: nameOf(account) || account.name }), content: t('people.disableHelp'), okText: t('people.disable'), okButtonProps: { danger: true },
      onOk: () => turn.mutateAsync(account).catch(() => undefined),
    });

  const { data } = asked;
  if (isBarred(asked)) return <Trouble asked={asked} />;
  if (!data) return <Loading />;
  return (
    <>
      <Trouble asked={asked} />
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
                    <span className="cell-sub">{directory.posts.filter((post) => post.practitionerId === account.practitioner).map((post) => `${t(`role.${post.role}`, { defaultValue: post.role })} · ${post.organizationName}`).join('；')}</span></td>
                  <td data-label={t('people.lastSignIn')}>{formatTime(account.lastSignInAt, language) || '—'}</td>
                  <td data-label={t('column.state')}><span className={`badge badge-${account.disabled ? 'off' : 'done'}`}>{t(account.disabled ? 'people.disabled' : 'people.enabled')}</span></td>
                  <td className="cell-action">
                    <Button size="small" onClick={() => confirmReset(account)}>{t('people.reset')}</Button>{' '}
                    <Button size="small" danger={!account.disabled} onClick={() => confirmTurn(account)}>{t(account.disabled ? 'people.enable' : 'people.disable')}</Button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <AccountDialog open={adding} onClose={() => setAdding(false)} onMade={setMade} />
      <Modal open={made !== undefined} title={t('people.passwordTitle', { name: made?.name ?? '' })} footer={null} onCancel={() => setMade(undefined)}>
        <p>{t('people.passwordOnce')}</p>
        <p className="made-password"><Typography.Text copyable>{made?.password}</Typography.Text></p>
      </Modal>
    </>
  );
}

interface AccountFields { name: string; person: string }
interface AccountDialogProps { open: boolean; onClose: () => void; onMade: (made: MadePassword) => void }

function AccountDialog({ open, onClose, onMade }: AccountDialogProps) {
  const { t } = useTranslation();
  const directory = useDirectory();
  const client = useQueryClient();
  const [form] = Form.useForm<AccountFields>();
  const add = useMutation({
    mutationFn: (fields: AccountFields) => sendJson<{ password?: string }>('/admin/accounts', 'POST', { name: fields.name, practitioner: fields.person }),
    onSuccess: (answer, fields) => {
      void client.invalidateQueries({ queryKey: ['accounts'] });
      onClose();
      if (answer.password) onMade({ name: fields.name, password: answer.password });
    },
  });
  return (
    <Modal open={open} title={t('people.addAccount')} okText={t('people.add')} confirmLoading={add.isPending} destroyOnHidden onOk={() => form.submit()} onCancel={onClose} afterClose={() => add.reset()}>
      <Form form={form} layout="vertical" preserve={false} requiredMark={false} onFinish={(fields) => add.mutate(fields)}>
        <Form.Item name="name" label={t('people.account')} extra={t('people.accountHelp')} rules={[{ required: true, pattern: /^[A-Za-z0-9._-]{2,64}$/, message: t('people.accountHelp') }]}><Input autoCapitalize="none" autoComplete="off" /></Form.Item>
        <Form.Item name="person" label={t('people.person')} extra={t('people.personHelp')} rules={[{ required: true, message: t('common.required') }]}>
          <Select showSearch optionFilterProp="label" options={directory.practitioners.map((person) => ({ value: person.id ?? '', label: humanName(person) }))} />
        </Form.Item>
        {add.error ? <Problem error={add.error} /> : null}
      </Form>
    </Modal>
  );
}
